"""Everything that runs in a worker: records in, samples as bytes of a tar out.

Record -> decode -> steps -> user's function -> encode -> bytes of the sample in its tar.
"""

import contextlib
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from wdsremux.core.errors import TransformError
from wdsremux.core.heartbeat import at_row, heartbeat
from wdsremux.core.json_values import json_bytes
from wdsremux.core.records import Batch, Record, Rejected, Stage, Task
from wdsremux.dataset.shards.packing import SamplePacker
from wdsremux.processing.batch import (
    AddedColumns,
    BatchBuilder,
    RejectedFieldError,
    RejectedRecordError,
)
from wdsremux.processing.job import WorkerJob
from wdsremux.processing.members import member_contents
from wdsremux.processing.sample_fields import SampleFields
from wdsremux.transforms.base import Pixels, StepError, quiet_libraries, sample_rng
from wdsremux.transforms.codecs.codec import (
    DecodeError,
    EncodeError,
    sniff,
    stored_size,
)
from wdsremux.transforms.function.call import Row, UserFunction
from wdsremux.transforms.function.errors import described
from wdsremux.transforms.steps.catalogue import apply_steps, steps_from_text
from wdsremux.transforms.steps.picture import Picture, SourceImage

CHUNK_ROWS = 256
CHUNK_BYTES = 8 * 10**6
"""Rows and stored bytes of a batch where no batch function defines it."""


class Worker:
    """Turns tasks into batches; one per thread or process, created where it runs."""

    def __init__(self, job: WorkerJob) -> None:
        quiet_libraries()
        self._job = job
        self._steps = steps_from_text(job.steps)
        self._filter = None if job.filter is None else job.filter.prepared()
        self._function = self._user_function()
        self._added = self._added_columns()
        self._fields = SampleFields(job.columns, job.copies)
        # At once: a function that cannot be imported is not found after hours.
        self._held_out = self._sibling(job.chains[-1]) if job.held_out is not None else None

    def _sibling(self, job: WorkerJob) -> "Worker":
        """Return a worker of the same kind for another job."""
        return Worker(job)

    def _user_function(self) -> UserFunction | None:
        job = self._job
        if job.function is None:
            return None
        return UserFunction(
            job.function, job.mode, job.input, job.columns.image, job.seed, matte=job.codec.matte
        )

    def _added_columns(self) -> AddedColumns | None:
        job, columns = self._job, self._job.columns
        if job.function is None:
            return None
        return AddedColumns(job.function.label, columns)

    def __call__(self, task: Task) -> Iterator[Batch]:
        """Yield the batches of a task, in order.

        Raises SourceError when a unit cannot be read, TransformError when the user's function
        breaks its contract.
        """
        if task.is_held_out and self._held_out is not None:
            yield from self._held_out(task)
            return
        builder = self._begun(task)
        for record in _records_of(task):
            self._add(record, builder)
            is_full = task.is_probe or self._is_full(builder, task)
            if is_full or not self._job.batches_rows:
                self._run(builder, is_probe=task.is_probe)
            at_row(None)
            if is_full:
                yield self._batch(builder, task)
                builder = self._begun(task)
        if builder.locations:
            self._run(builder, is_probe=task.is_probe)
            yield self._batch(builder, task)

    def _begun(self, task: Task) -> BatchBuilder:
        """Return an empty batch."""
        copies = range(self._job.copies) if task.copy is None else (task.copy,)
        packers = [SamplePacker() for _ in range(self._job.copies)]
        return BatchBuilder(packers, copies, dict(task.poison))

    def _is_full(self, builder: BatchBuilder, task: Task) -> bool:
        """Return whether a batch ends after its last row.

        Batches of a function depend on rows and images only: on --batch-size, counted from where
        the task was cut, and on the bytes of the images that the function gets.
        """
        job, rows = self._job, len(builder.locations)
        if not job.batches_rows:
            return rows >= CHUNK_ROWS or builder.input_bytes >= CHUNK_BYTES
        is_end = (builder.stop - task.counted_from) % job.batch_size == 0
        return is_end or (job.batch_memory is not None and builder.row_bytes >= job.batch_memory)

    def _batch(self, builder: BatchBuilder, task: Task) -> Batch:
        """Return the result of a batch; that of a probe only shows that the worker lives."""
        first, rows = builder.first, len(builder.locations)
        if task.is_probe:
            return Batch(first, rows, (), series=task.series)
        return Batch(
            first=first,
            rows=rows,
            packed=tuple(packer.packed() for packer in builder.packers),
            rejected=builder.rejected_in_order(),
            series=task.series,
            input_bytes=builder.input_bytes,
            remarks=tuple(builder.remarks.values()),
            expanded=tuple(builder.expanded),
        )

    def _run(self, builder: BatchBuilder, *, is_probe: bool) -> None:
        """Run the function on the rows that wait, and pack what it returns."""
        at_row(builder.only_row)
        # A function may fail on a batch of one row: after a probe it gets the whole batch.
        with contextlib.suppress(*((TransformError,) if is_probe else ())):
            for copy, rows in zip(builder.copies, builder.taken_rows(), strict=True):
                outcomes = self._transformed(rows, copy)
                if self._function is not None:
                    for position, text in self._function.taken_remarks():
                        builder.remark(position, text)
                if len(outcomes) > len(rows):
                    samples = Counter(outcome.position for outcome in outcomes)
                    more = ((copy, row, count - 1) for row, count in samples.items() if count > 1)
                    builder.expanded.extend(more)
                read = {row.position: row.fields for row in rows}
                for outcome in outcomes:
                    if copy == builder.copies[-1] and not is_probe:
                        builder.report_rows(outcome.position)
                    self._take(read[outcome.position], outcome, copy, builder)
            if not is_probe:
                builder.report_rows(builder.stop)

    def _take(
        self, read: Mapping[str, Any], outcome: Row | Rejected, copy: int, builder: BatchBuilder
    ) -> None:
        """Pack an outcome of a row; `read` are the columns that the function got."""
        if isinstance(outcome, Rejected):
            builder.rejected.append(outcome)
            return
        if self._added is not None:
            for text in self._added.late(outcome.fields, outcome.position):
                builder.remark(outcome.position, text)
        try:
            self._pack(outcome, read, copy, builder)
        except RejectedRecordError as exc:
            if isinstance(exc, RejectedFieldError):
                exc.attribute(read)
            builder.reject(outcome.position, [copy], exc)

    def _add(self, record: Record, builder: BatchBuilder) -> None:
        """Decode a record and apply the steps; it waits for the function."""
        heartbeat()
        at_row(record.position)
        builder.begin(record)
        try:
            if record.position in builder.poison:
                raise RejectedRecordError("transform", builder.poison[record.position])
            for text, count in record.remarks:
                builder.remark(record.position, text, count)
            self._leave_out(record)
            images = self._images(record, builder)
            for rows, image in zip(builder.rows, images, strict=True):
                rows.append(Row(record.position, image, dict(record.fields)))
        except RejectedRecordError as exc:
            builder.reject(record.position, builder.copies, exc)

    def _leave_out(self, record: Record) -> None:
        """Raise RejectedRecordError for a row that the user does not want."""
        if self._filter is None or record.problem is not None or record.image is None:
            return
        try:
            reason = self._filter.reason_against(record.fields)
            reason = reason or self._filter.reason_against_image(record.image)
        except DecodeError as exc:
            raise RejectedRecordError("decode", str(exc)) from exc
        if reason is not None:
            raise RejectedRecordError("filter", reason)

    def _transformed(self, rows: list[Row], copy: int) -> Sequence[Row | Rejected]:
        if self._function is None or not rows:
            return rows
        heartbeat()
        return self._function.run(rows, copy)

    def _images(self, record: Record, builder: BatchBuilder) -> Sequence[Pixels | bytes]:
        """Return the image of each copy after the steps: pixels, or the stored bytes."""
        job, copies = self._job, builder.copies
        if record.problem is not None:
            raise RejectedRecordError("read", record.problem)
        if record.image is None:
            raise RejectedRecordError("read", f"column {job.columns.image!r}: the image is null")
        if self._function is not None and job.input == "bytes":
            builder.row_bytes += job.copies * len(record.image)
            return [record.image] * len(copies)
        try:
            return self._pictures(record.image, record.position, builder)
        except DecodeError as exc:
            raise RejectedRecordError("decode", str(exc)) from exc
        except StepError as exc:
            raise RejectedRecordError("transform", str(exc)) from exc
        except Exception as exc:
            # Libraries raise anything for odd images, MemoryError included: it costs this record.
            stage: Stage = "transform" if self._steps else "decode"
            raise RejectedRecordError(stage, described(exc, None)) from exc

    def _pictures(
        self, image: bytes, position: int, builder: BatchBuilder
    ) -> Sequence[Pixels | bytes]:
        """Decode an image and apply the steps to each copy."""
        job, copies = self._job, builder.copies
        if job.passes_through and sniff(image) == "jpeg":
            job.codec.check_stored(image, job.check)
            return [image] * len(copies)
        frame = SourceImage(image, job.codec)
        # All copies, also if only one is made: they share the scale they are decoded at, and a
        # step that fails for one rejects all.
        pictures = [frame.picture() for _ in range(job.copies)]
        if self._steps:
            rngs = [sample_rng(job.seed, c, position) for c in range(job.copies)]
            apply_steps(self._steps, pictures, rngs, job.codec.matte)
        # Counted for all copies, too, and before anything can fail: batches must not depend on it.
        builder.row_bytes += sum(3 * math.prod(picture.size) for picture in pictures)
        finished = [self._finished(pictures[copy]) for copy in copies]
        for remark in sorted(frame.remarks):
            builder.remark(position, remark)
        return finished

    def _finished(self, picture: Picture) -> Pixels | bytes:
        """Return a picture as it is packed, where the native kernel makes that; else its pixels."""
        codec = self._job.codec
        if self._function is None and codec.format == "jpeg":
            encoded = picture.jpeg(codec.subsampling, codec.quality)
            if encoded is not None:
                return encoded
        return picture.pixels()

    def _pack(self, row: Row, read: Mapping[str, Any], copy: int, builder: BatchBuilder) -> None:
        """Encode a row and append its sample; `read` are the columns as the source has them."""
        encoded, width, height = self._encoded(row)
        key, key_text = self._fields.key(row, copy)
        entry = self._fields.entry(row, read, builder)
        if self._job.copies > 1:
            entry["copy"] = copy
        entry |= {"width": width, "height": height, "position": row.position}
        if key_text is not None:
            entry["key"] = key_text
        image, json = (self._job.codec.extension, encoded), ("json", json_bytes(entry))
        more = member_contents(self._job.columns, row.fields, entry)
        builder.packers[copy].add(row.position, key, (image, json, *more), entry.get("label"))

    def _encoded(self, row: Row) -> tuple[bytes, int, int]:
        codec = self._job.codec
        try:
            if isinstance(row.image, bytes):
                if self._function is not None and sniff(row.image) != codec.format:
                    raise TransformError(
                        f"the function returned {sniff(row.image) or 'unknown'} bytes for row "
                        f"{row.position}; return {codec.format} bytes, or choose another --format"
                    )
                width, height = stored_size(row.image)
                return row.image, width, height
            height, width = row.image.shape[:2]
            return codec.encode(row.image), width, height
        except (DecodeError, EncodeError) as exc:
            raise RejectedRecordError("encode", str(exc)) from exc
        except MemoryError as exc:
            raise RejectedRecordError("encode", "not enough memory to encode the image") from exc


def _records_of(task: Task) -> Iterator[Record]:
    """Yield the records of a task, in order."""
    for piece in task.pieces:
        yield from piece.unit.read(piece.start, piece.stop)
