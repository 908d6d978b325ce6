"""Everything that runs in a worker: records in, samples as bytes of a tar out.

Record -> decode -> steps -> user's function -> encode -> bytes of the sample in its tar.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from wdsremux.core.errors import TransformError
from wdsremux.core.heartbeat import at_row, heartbeat
from wdsremux.core.json_values import json_bytes
from wdsremux.core.records import Batch, Record, Rejected, Task
from wdsremux.dataset.shards.packing import SamplePacker
from wdsremux.processing.batch import (
    AddedColumns,
    BatchBuilder,
    RejectedFieldError,
    RejectedRecordError,
)
from wdsremux.processing.images import ImageWork
from wdsremux.processing.job import WorkerJob
from wdsremux.processing.members import member_contents
from wdsremux.processing.sample_fields import SampleFields
from wdsremux.transforms.base import Pixels
from wdsremux.transforms.codecs.codec import (
    DecodeError,
)
from wdsremux.transforms.function.call import Row, UserFunction
from wdsremux.transforms.libraries import quiet_libraries

CHUNK_ROWS = 256
CHUNK_BYTES = 8 * 10**6
"""Rows and stored bytes of a batch where no batch function defines it."""


class Worker:
    """Turns tasks into batches; one per thread or process, created where it runs."""

    def __init__(self, job: WorkerJob) -> None:
        quiet_libraries(for_function=any(each.function is not None for each in job.chains))
        self._job = job
        self._work = ImageWork(job)
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
            job.function,
            job.mode,
            job.input,
            job.columns.packed_images or job.columns.image,
            job.seed,
            matte=job.codec.matte,
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
            others = self._work.others(record, builder)
            for rows, image, more in zip(builder.rows, images, others, strict=True):
                rows.append(Row(record.position, image, dict(record.fields), others=more))
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
        return self._work.images(record, builder)

    def _pack(self, row: Row, read: Mapping[str, Any], copy: int, builder: BatchBuilder) -> None:
        """Encode a row and append its sample; `read` are the columns as the source has them."""
        encoded, width, height = self._work.encoded(row)
        more_images = self._work.encoded_others(row)
        key, key_text = self._fields.key(row, copy)
        entry = self._fields.entry(row, read, builder)
        if self._job.copies > 1:
            entry["copy"] = copy
        entry |= {"width": width, "height": height, "position": row.position}
        if key_text is not None:
            entry["key"] = key_text
        image = self._job.image_extensions[0], encoded
        more = member_contents(self._job.columns, row.fields, entry)
        members = (image, *more_images, ("json", json_bytes(entry)), *more)
        builder.packers[copy].add(row.position, key, members, entry.get("label"))


def _records_of(task: Task) -> Iterator[Record]:
    """Yield the records of a task, in order."""
    for piece in task.pieces:
        yield from piece.unit.read(piece.start, piece.stop)
