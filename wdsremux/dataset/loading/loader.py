"""The loader of a pipeline: worker processes, and a state that is independent of their number."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import webdataset

from wdsremux.core.errors import UsageError
from wdsremux.dataset.loading.cursor import Cursor


class Resumable(Protocol):
    """The pipeline of a loader."""

    def __len__(self) -> int: ...

    def set_epoch(self, epoch: int) -> None:
        """Let the next iteration read this epoch from its start."""

    def state_dict(self) -> dict[str, Any]:
        """Return where the iteration is."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the next iteration continue where the state was taken."""

    def uncounted(self) -> webdataset.DataPipeline:
        """Return the same pipeline without the stage that moves the cursor."""


class Loader(webdataset.WebLoader):  # type: ignore[misc]  # webdataset has no types
    """A `webdataset.WebLoader` that counts what it delivers.

    Iterating to the end continues with the next epoch; the order of the batches is the same for
    any number of workers.
    """

    def __init__(
        self,
        pipeline: Resumable,
        cursor: Cursor,
        *,
        num_workers: int,
        pin_memory: bool,
        prefetch_factor: int | None,
        multiprocessing_context: str | None,
    ) -> None:
        try:
            cursor.share()
        except ModuleNotFoundError as exc:
            raise UsageError(
                "loader() needs PyTorch; pip install torch, or iterate the pipeline itself"
            ) from exc
        super().__init__(
            pipeline.uncounted(),
            batch_size=None,
            num_workers=num_workers,
            pin_memory=pin_memory,
            prefetch_factor=prefetch_factor,
            multiprocessing_context=multiprocessing_context,
            persistent_workers=num_workers > 0,
        )
        self.append(_Delivering(cursor))
        self._pipeline = pipeline

    def __len__(self) -> int:
        """Return the number of batches of this rank in the current epoch."""
        return len(self._pipeline)

    def set_epoch(self, epoch: int) -> None:
        """Let the next iteration read this epoch from its start."""
        self._pipeline.set_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        """Return where the iteration is: the epoch, and the batches that the caller got."""
        return self._pipeline.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the next iteration continue where the state was taken; see `Pipeline`."""
        self._pipeline.load_state_dict(state)


class _Delivering:
    """Counts in the main process: what workers have made ahead was not delivered yet."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor

    def __call__(self, batches: Iterator[Any]) -> Iterator[Any]:
        self._cursor.begin()
        for batch in batches:
            self._cursor.count(1)
            yield batch
        self._cursor.finish()
