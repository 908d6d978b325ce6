"""From the bytes of a sample to what a training loop uses: images, labels, fields of the JSON."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from wdsremux.core.errors import CorruptDataError, UsageError
from wdsremux.core.image_formats import image_extension, is_image_name
from wdsremux.core.tar.headers import split_name
from wdsremux.core.tar.ustar import BLOCK_BYTES
from wdsremux.dataset.reader import members_of
from wdsremux.transforms.codecs.pillow_formats import PILLOW_FORMATS

Decode = Literal["pil", "rgb", "torch"]
"""What an image becomes: `pil`, an image of Pillow in its stored mode; `rgb`, an H×W×3 uint8 array;
`torch`, a 3×H×W uint8 tensor. EXIF orientation is not applied.
"""
Pixels = NDArray[np.uint8]
Members = Mapping[str, bytes | memoryview]

_JPEG_START = b"\xff\xd8"


@dataclass(frozen=True, slots=True)
class SampleDecoder:
    """Decodes samples into dicts, or into tuples of the named columns; may be pickled."""

    decode: Decode
    columns: tuple[str, ...] | None = None

    def __call__(self, data: bytes) -> Any:
        """Return one sample. Raises CorruptDataError, UsageError for a column it does not have."""
        return self.finished(self.parsed(data), None)

    def parsed(self, data: bytes) -> "ParsedSample":
        """Return the parts of a sample, with nothing decoded yet."""
        key, members = _plain_members(data) or members_of(data)
        return ParsedSample(key, members, image_extension(members))

    def finished(self, sample: "ParsedSample", pixels: Any) -> Any:
        """Return the sample with its image; it is decoded here unless `pixels` holds it already."""
        if self.columns is None:
            fields = sample.everything()
            for name, extension in sample.further.items():
                fields[name] = self._further(sample, extension)
            if sample.image is not None:
                fields["image"] = self._image(sample) if pixels is None else pixels
            return fields
        found = []
        for column in self.columns:
            if column == "image" and sample.image is not None:
                found.append(self._image(sample) if pixels is None else pixels)
            elif column in sample.further:
                found.append(self._further(sample, sample.further[column]))
            else:
                found.append(sample.column(column))
        return tuple(found)

    def _further(self, sample: "ParsedSample", extension: str) -> Any:
        """Return an image beside the main one; a mask, which has one channel, as its H×W labels."""
        content = sample.members[extension]
        if self.decode == "pil":
            return _pil(content, sample.key)
        pixels = labels_or_rgb(content, sample.key)
        if self.decode == "rgb":
            return pixels
        return tensor_of(pixels) if pixels.ndim == 3 else label_tensor(pixels)

    def _image(self, sample: "ParsedSample") -> Any:
        content = sample.image_content()
        if self.decode == "pil":
            return _pil(content, sample.key)
        pixels = rgb(content, sample.key)
        return pixels if self.decode == "rgb" else tensor_of(pixels)


class ParsedSample:
    """One sample: key, members by extension, and the JSON once it is asked for."""

    def __init__(self, key: str, members: Members, image: str | None) -> None:
        self.key = key
        self.members = members
        self.image = image
        """Extension of the member that is the image."""
        self.further = {
            name.rpartition(".")[0]: name
            for name in members
            if image is not None
            and "." in image
            and "." in name
            and name != image
            and is_image_name(name)
        }
        """Extensions of further images, by the name before their format; only where the image has
        a name itself. Elsewhere, such a member is one of many kinds of files, and comes as bytes.
        """
        self._fields: dict[str, Any] | None = None

    def image_content(self) -> bytes | memoryview:
        """Return the encoded image."""
        return self.members[self.image or ""]

    def fields(self) -> dict[str, Any]:
        """Return what the JSON holds, nothing without one. Raises CorruptDataError."""
        if self._fields is None:
            content = self.members.get("json")
            self._fields = {} if content is None else _json_object(content, self.key)
        return self._fields

    def everything(self) -> dict[str, Any]:
        """Return key, fields of the JSON and members but the image.

        The field `key` of the JSON comes as `key_text`, unless a field has that name.
        """
        fields = dict(self.fields())
        if "key" in fields:
            fields.setdefault("key_text", fields.pop("key"))
        rest = {
            name: _value(name, content, self.key)
            for name, content in self.members.items()
            if name not in ("json", self.image) and name not in self.further.values()
        }
        return {"key": self.key} | fields | rest

    def column(self, name: str) -> Any:
        """Return one column, without decoding the others. Raises UsageError without it."""
        if name == "key":
            return self.key
        if name in self.members and name not in ("json", self.image):
            return _value(name, self.members[name], self.key)
        fields = self.fields()
        if name in fields:
            return fields[name]
        everything = self.everything()
        if name in everything:
            return everything[name]
        images = ["image", *self.further] if self.image else []
        known = ", ".join(map(repr, [*images, *everything]))
        raise UsageError(f"sample {self.key!r} has no column {name!r}; it has {known}")


def checked_decode(decode: str) -> Decode:
    """Return the name of a way to decode. Raises UsageError for another, or without torch."""
    if decode not in get_args(Decode):
        known = ", ".join(map(repr, get_args(Decode)))
        raise UsageError(f"decode={decode!r} is not one of {known}")
    if decode == "torch":
        try:
            import torch  # noqa: F401, PLC0415 (heavy, and only this way to decode needs it)
        except ModuleNotFoundError as exc:
            raise UsageError("decode='torch' needs PyTorch; pip install torch") from exc
    return decode  # type: ignore[return-value]  # compared with the names above


def rgb(content: bytes | memoryview, key: str) -> Pixels:
    """Return an image as H×W×3 RGB. Raises CorruptDataError when it cannot be decoded."""
    size = jpeg_size(content)
    if size is not None:
        try:
            decoded: Pixels = simplejpeg.decode_jpeg(content, "RGB")
        except ValueError:
            pass  # Pillow may be more tolerant, and names the fault better.
        else:
            return decoded
    return np.asarray(_pil(content, key).convert("RGB"))


def labels_or_rgb(content: bytes | memoryview, key: str) -> NDArray[Any]:
    """Return an image of one channel as its H×W values, others as H×W×3 RGB.

    A mask has one channel: labels or palette indices of uint8, bool or uint16. Raises
    CorruptDataError.
    """
    if content[:2] == _JPEG_START:
        return rgb(content, key)
    image = _pil(content, key)
    if image.mode in ("1", "L", "P") or image.mode.startswith("I"):
        return np.array(image)
    return np.array(image.convert("RGB"))


def rgb_into(content: bytes | memoryview, buffer: Pixels) -> bool:
    """Decode a JPEG of the buffer's size straight into it; return whether that was possible."""
    if jpeg_size(content) != buffer.shape[:2]:
        return False
    try:
        simplejpeg.decode_jpeg(content, "RGB", buffer=buffer)
    except ValueError:
        return False
    return True


def jpeg_size(content: bytes | memoryview) -> tuple[int, int] | None:
    """Return (height, width) of a JPEG that simplejpeg turns into RGB rightly, else None.

    It takes the inverted channels of CMYK for plain ones; Pillow knows them.
    """
    if content[:2] != _JPEG_START:
        return None
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(content)
    except ValueError:
        return None
    return None if space in ("CMYK", "YCCK") else (height, width)


def tensor_of(pixels: Pixels) -> Any:
    """Return H×W×3 or N×H×W×3 pixels as a tensor with the channels first, without a copy."""
    import torch  # noqa: PLC0415 (heavy, and only this way to decode needs it)

    writable = pixels if pixels.flags.writeable else pixels.copy()
    return torch.from_numpy(writable).movedim(-1, -3)


def label_tensor(labels: NDArray[Any]) -> Any:
    """Return H×W labels as a tensor; those of 16 bits as int32, with which torch can compute."""
    import torch  # noqa: PLC0415 (heavy, and only this way to decode needs it)

    return torch.from_numpy(labels.astype(np.int32) if labels.dtype == np.uint16 else labels)


def _plain_members(data: bytes) -> tuple[str, Members] | None:
    """Return (key, members) of a sample of plain ustar members, None for anything else."""
    view = memoryview(data)
    members: dict[str, bytes | memoryview] = {}
    key = ""
    at = 0
    while at < len(data):
        header = data[at : at + BLOCK_BYTES]
        digits = header[124:135]
        # A name prefix, a link, a pax or a GNU header: rare, and parsed with all rules.
        if header[156:157] != b"0" or header[345] or not digits.isdigit():
            return None
        name, field = split_name(header[:100].rstrip(b"\0").decode("utf-8", "surrogateescape"))
        size = int(digits, 8)
        start = at + BLOCK_BYTES
        if not name or (key and name != key) or start + size > len(data):
            return None
        key = name
        members.setdefault(field, view[start : start + size])
        at = start + size + -size % BLOCK_BYTES
    return key, members


def _value(name: str, content: bytes | memoryview, key: str) -> Any:
    """Return a string for .txt and a number for .cls, as webdataset decodes them, else bytes."""
    kind = name.rpartition(".")[2]
    try:
        if kind == "txt":
            return bytes(content).decode()
        return int(bytes(content)) if kind == "cls" else bytes(content)
    except ValueError as exc:
        raise CorruptDataError(
            f"member {name!r} of sample {key!r} is not a .{kind}: {exc}"
        ) from exc


def _json_object(content: bytes | memoryview, key: str) -> dict[str, Any]:
    try:
        fields = json.loads(bytes(content))
    except (ValueError, RecursionError) as exc:
        raise CorruptDataError(f"the JSON of sample {key!r} cannot be parsed: {exc}") from exc
    if not isinstance(fields, dict):
        raise CorruptDataError(f"the JSON of sample {key!r} is not an object")
    return fields


def _pil(content: bytes | memoryview, key: str) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(content), formats=PILLOW_FORMATS)
        image.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as exc:
        raise CorruptDataError(f"the image of sample {key!r} cannot be decoded: {exc}") from exc
    return image


def checked_columns(columns: Sequence[str] | None) -> tuple[str, ...] | None:
    """Return the names of columns. Raises UsageError for a single string or an empty list."""
    if columns is None:
        return None
    if isinstance(columns, str) or not columns:
        raise UsageError(f"columns={columns!r}: pass a sequence of names, such as ('image',)")
    return tuple(columns)
