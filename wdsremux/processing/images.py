"""The images of a record in a worker: decoded, changed by the steps, and encoded."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

from wdsremux.core.errors import TransformError
from wdsremux.core.records import Record, Stage
from wdsremux.processing.batch import BatchBuilder, RejectedRecordError
from wdsremux.processing.job import WorkerJob
from wdsremux.transforms.base import Pixels, StepError, sample_rng
from wdsremux.transforms.codecs.codec import DecodeError, EncodeError, sniff, stored_size
from wdsremux.transforms.codecs.label_image import MASK_EXTENSION, LabelImage
from wdsremux.transforms.function.call import Picked, Row
from wdsremux.transforms.function.errors import described
from wdsremux.transforms.pending_geometry import Size
from wdsremux.transforms.steps.catalogue import apply_steps, is_geometric, steps_from_text
from wdsremux.transforms.steps.mask_picture import MaskPicture
from wdsremux.transforms.steps.picture import Picture, SourceImage


class ImageWork:
    """Decodes images, applies the steps of a job, and encodes; for one thread."""

    def __init__(self, job: WorkerJob) -> None:
        self._job = job
        self.steps = steps_from_text(job.steps)
        self._moves = any(map(is_geometric, self.steps))

    def images(self, record: Record, builder: BatchBuilder) -> Sequence[Pixels | bytes]:
        """Return the image of each copy after the steps: pixels, or the stored bytes."""
        if record.problem is not None:
            raise RejectedRecordError("read", record.problem)
        if record.image is None:
            column = self._job.columns.image
            raise RejectedRecordError("read", f"column {column!r}: the image is null")
        made, self._size = self._made(record.image, record.position, builder, is_mask=False)
        return cast("Sequence[Pixels | bytes]", made)

    def others(self, record: Record, builder: BatchBuilder) -> Sequence[Mapping[str, Picked]]:
        """Return the further images of each copy by column, after `images`; the same draws."""
        columns = self._job.columns.more_images
        found: list[dict[str, Picked]] = [{} for _ in builder.copies]
        for column, (data, problem) in zip(columns, record.others, strict=bool(columns)):
            if problem is not None or data is None:
                reason = problem or "the image is null"
                raise RejectedRecordError("read", f"column {column.name!r}: {reason}")
            try:
                made, size = self._made(data, record.position, builder, is_mask=column.is_mask)
            except RejectedRecordError as exc:
                raise RejectedRecordError(exc.stage, f"column {column.name!r}: {exc}") from exc
            if self._moves and size != self._size and size is not None is not self._size:
                self._refuse_sizes(column.name, size)
            for own, image in zip(found, made, strict=True):
                own[column.name] = image
        return found

    def _refuse_sizes(self, name: str, size: Size) -> None:
        width, height = self._size or (0, 0)
        raise RejectedRecordError(
            "transform",
            f"column {name!r} has an image of {size[0]} x {size[1]}, and "
            f"{self._job.columns.image!r} one of {width} x {height}: steps that crop or resize "
            "need images of one size",
        )

    def _made(
        self, data: bytes, position: int, builder: BatchBuilder, *, is_mask: bool
    ) -> tuple[Sequence[Picked], Size | None]:
        """Return the image for each copy, and its upright size where it was opened."""
        job = self._job
        if job.function is not None and job.input == "bytes":
            builder.row_bytes += job.copies * len(data)
            return [data] * len(builder.copies), None
        make = self._masks if is_mask else self._pictures
        try:
            return make(data, position, builder)
        except DecodeError as exc:
            raise RejectedRecordError("decode", str(exc)) from exc
        except StepError as exc:
            raise RejectedRecordError("transform", str(exc)) from exc
        except Exception as exc:
            # Libraries raise anything for odd images, MemoryError included: it costs this record.
            stage: Stage = "transform" if self.steps else "decode"
            raise RejectedRecordError(stage, described(exc, None)) from exc

    def _pictures(
        self, image: bytes, position: int, builder: BatchBuilder
    ) -> tuple[Sequence[Pixels | bytes], Size | None]:
        """Decode an image and apply the steps to each copy."""
        job, copies = self._job, builder.copies
        if job.passes_through and sniff(image) == "jpeg":
            job.codec.check_stored(image, job.check)
            return [image] * len(copies), None
        frame = SourceImage(image, job.codec)
        # All copies, also if only one is made: they share the scale they are decoded at, and a
        # step that fails for one rejects all.
        pictures = [frame.picture() for _ in range(job.copies)]
        self._apply_steps(pictures, position)
        # Counted for all copies, too, and before anything can fail: batches must not depend on it.
        builder.row_bytes += sum(3 * math.prod(picture.size) for picture in pictures)
        finished = [self._finished(pictures[copy]) for copy in copies]
        for remark in sorted(frame.remarks):
            builder.remark(position, remark)
        return finished, frame.size

    def _masks(
        self, data: bytes, position: int, builder: BatchBuilder
    ) -> tuple[Sequence[LabelImage], Size]:
        """Decode a mask and apply the geometry of each copy."""
        job = self._job
        mask, orientation = job.codec.labels(data)
        masks = [MaskPicture(mask, orientation, job.codec.max_pixels) for _ in range(job.copies)]
        size = masks[0].size
        self._apply_steps(cast("list[Picture]", cast("Any", masks)), position)
        builder.row_bytes += sum(3 * math.prod(each.size) for each in masks)
        return [masks[copy].mask() for copy in builder.copies], size

    def _apply_steps(self, pictures: Sequence[Picture], position: int) -> None:
        job = self._job
        if self.steps:
            rngs = [sample_rng(job.seed, copy, position) for copy in range(job.copies)]
            apply_steps(self.steps, pictures, rngs, job.codec.matte)

    def _finished(self, picture: Picture) -> Pixels | bytes:
        """Return a picture as it is packed, where the native kernel makes that; else its pixels."""
        codec = self._job.codec
        if self._job.function is None and codec.format == "jpeg":
            encoded = picture.jpeg(codec.subsampling, codec.quality)
            if encoded is not None:
                return encoded
        return picture.pixels()

    def encoded(self, row: Row) -> tuple[bytes, int, int]:
        """Return the image of a row as a file, its width and its height."""
        image = self._encoded(row, row.image, self._job.codec.format)
        if not isinstance(row.image, bytes):
            height, width = row.image.shape[:2]
            return image, width, height
        return image, *_size_of(image)

    def encoded_others(self, row: Row) -> list[tuple[str, bytes]]:
        """Return (extension, file) of the further images of a row, in order."""
        found = []
        extensions = self._job.image_extensions[1:]
        for column, extension in zip(self._job.columns.more_images, extensions, strict=True):
            wanted = MASK_EXTENSION if column.is_mask else self._job.codec.format
            encoded = self._encoded(row, row.others[column.name], wanted)
            if isinstance(row.others[column.name], bytes):
                _size_of(encoded)
            found.append((extension, encoded))
        return found

    def _encoded(self, row: Row, image: Picked, wanted: str) -> bytes:
        codec = self._job.codec
        try:
            if isinstance(image, LabelImage):
                return image.encode()
            if not isinstance(image, bytes):
                return codec.encode(image)
        except (DecodeError, EncodeError) as exc:
            raise RejectedRecordError("encode", str(exc)) from exc
        except MemoryError as exc:
            raise RejectedRecordError("encode", "not enough memory to encode the image") from exc
        if self._job.function is not None and sniff(image) != wanted:
            raise TransformError(
                f"the function returned {sniff(image) or 'unknown'} bytes for row "
                f"{row.position}; return {wanted} bytes, or choose another --format"
            )
        return image


def _size_of(image: bytes) -> Size:
    try:
        return stored_size(image)
    except DecodeError as exc:
        raise RejectedRecordError("encode", str(exc)) from exc
