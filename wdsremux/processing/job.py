"""The settings of a worker, and of the chain that held-out splits get instead."""

from dataclasses import dataclass, replace

from wdsremux.core.columns import Columns
from wdsremux.processing.filters import RowFilter
from wdsremux.processing.members import member_features
from wdsremux.transforms.codecs.codec import Check, Codec
from wdsremux.transforms.codecs.label_image import MASK_EXTENSION
from wdsremux.transforms.function.call import FunctionSpec, Input, Mode


@dataclass(frozen=True, slots=True)
class HeldOutChain:
    """What is done to the images of held-out splits."""

    steps: tuple[str, ...] = ()
    function: FunctionSpec | None = None


@dataclass(frozen=True, slots=True)
class WorkerJob:
    """The settings of a worker; sent to worker processes once."""

    columns: Columns
    codec: Codec
    steps: tuple[str, ...] = ()
    function: FunctionSpec | None = None
    mode: Mode = "batch"
    input: Input = "pil"
    batch_size: int = 256
    batch_memory: int | None = None
    """A batch gets no further row once its images have this number of bytes."""
    copies: int = 1
    seed: int = 42
    reencode: bool = False
    check: Check = "pixels"
    """How JPEGs that are packed unchanged are checked."""
    filter: RowFilter | None = None
    """Which rows are converted; None for all."""

    held_out: HeldOutChain | None = None
    """None where the held-out splits get what all others get."""

    @property
    def chains(self) -> "tuple[WorkerJob, ...]":
        """Return the job of most splits and, if they have one, that of held-out splits."""
        own = self.held_out
        if own is None:
            return (self,)
        return self, replace(self, steps=own.steps, function=own.function, held_out=None)

    @property
    def batches_rows(self) -> bool:
        """Whether the user's function gets rows in batches."""
        return self.function is not None and self.mode == "batch"

    @property
    def rows_a_call(self) -> int | None:
        """Rows that a batch function may get together; None without one."""
        return self.batch_size if any(job.batches_rows for job in self.chains) else None

    @property
    def passes_through(self) -> bool:
        """Whether stored JPEGs are packed unchanged."""
        changes = self.steps or self.function is not None or self.reencode
        return not changes and self.codec.format == "jpeg"

    @property
    def image_extensions(self) -> tuple[str, ...]:
        """Extensions of a sample's images, in order."""
        own = self.codec.extension
        columns = self.columns.packed_images
        return tuple(
            f"{each.member}.{MASK_EXTENSION if each.is_mask else own}" for each in columns
        ) or (own,)

    @property
    def extensions(self) -> tuple[str, ...]:
        """Extensions of a sample's members, in order."""
        return *self.image_extensions, "json", *member_features(self.columns)
