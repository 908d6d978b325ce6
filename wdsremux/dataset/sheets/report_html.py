"""The report of an output as HTML: totals, classes, sizes, rejected rows, speed, recipe."""

import json
from collections.abc import Iterator, Mapping

from wdsremux.core.option_values import counted, shortened, size
from wdsremux.dataset.sheets.charts import bars, curve, histogram
from wdsremux.dataset.sheets.html import data_url, escape, heading, page, table
from wdsremux.dataset.sheets.overview import Overview, RejectedKind, SplitOverview
from wdsremux.dataset.sheets.sheet import SheetImage

MAX_CLASSES = 40
"""Classes that a chart shows; the others are one bar."""


def report_html(overview: Overview, images: Mapping[int, SheetImage | str]) -> str:
    """Return the report; `images` are those of rejected rows, or why there is none."""
    manifest = overview.manifest
    parts = [heading(manifest.head.name, _facts(overview)), _totals(overview)]
    for split, measured in overview.splits.items():
        parts.append(_charts(_split(split, measured, manifest.splits[split].samples)))
    parts += _rejected(overview, images)
    parts.append(_charts(_speed(overview)))
    parts += _head(overview)
    return page(f"Report of {manifest.head.name}", "\n".join(parts))


def _charts(sections: Iterator[str]) -> str:
    """Return charts side by side where the window is wide."""
    inner = "\n".join(f"<section>{section}</section>" for section in sections)
    return f'<div class="charts">\n{inner}\n</div>' if inner else ""


def _facts(overview: Overview) -> tuple[str, ...]:
    totals = overview.manifest.totals
    shards = f"{counted(totals.shards, 'shard')}, {size(totals.size_bytes)}"
    return (
        f"{overview.name} · {totals.samples:,} samples in {shards}",
        *overview.manifest.head.notes,
    )


def _totals(overview: Overview) -> str:
    rows = [
        (
            name,
            f"{totals.rows:,}",
            f"{totals.samples:,}",
            f"{totals.rejected:,}",
            f"{totals.filtered:,}",
            f"{totals.shards:,}",
            size(totals.size_bytes),
        )
        for name, totals in overview.manifest.splits.items()
    ]
    columns = ("split", "rows", "samples", "rejected", "filtered", "shards", "bytes")
    return f"<h2>Splits</h2>\n{table(columns, rows, numbers=6)}"


def _split(name: str, measured: SplitOverview, samples: int) -> Iterator[str]:
    title = escape(name)
    if any(label for label in measured.labels):
        of = _of(measured.read_samples, samples)
        chart = bars(_classes(measured), f"samples of {name} by class")
        yield f"<h2>Classes of {title}{of}</h2>{chart}"
    sizes = measured.sample_bytes
    if sizes:
        shown = size(min(sizes)), size(max(sizes))
        chart = histogram(sizes, f"bytes of the samples of {name}", shown)
        yield f"<h2>Bytes per sample of {title}{_of(len(sizes), samples)}</h2>{chart}"
    if measured.image_sizes:
        of = _of(len(measured.image_sizes), samples)
        yield f"<h2>Image sizes of {title}{of}</h2>{_image_sizes(name, measured)}"


def _of(part: int, samples: int) -> str:
    """Return what a chart was made from, where that is not all samples."""
    return "" if part == samples else f", from {part:,} samples"


def _classes(measured: SplitOverview) -> list[tuple[str, int]]:
    rows = [(label or "(none)", count) for label, count in measured.labels.most_common()]
    if len(rows) <= MAX_CLASSES:
        return rows
    rest = rows[MAX_CLASSES:]
    return [*rows[:MAX_CLASSES], (f"{len(rest):,} others", sum(count for _, count in rest))]


def _image_sizes(name: str, measured: SplitOverview) -> str:
    if len(set(measured.image_sizes)) == 1:
        width, height = measured.image_sizes[0]
        return f"<p>All are {width} × {height} pixels.</p>"
    sides = [max(one) for one in measured.image_sizes]
    shown = f"{min(sides)} px", f"{max(sides)} px"
    chart = histogram(sides, f"longer side of the images of {name}", shown)
    return f'<p class="faint">Longer side in pixels</p>{chart}'


def _rejected(overview: Overview, images: Mapping[int, SheetImage | str]) -> Iterator[str]:
    totals = overview.manifest.totals
    if not totals.left_out:
        return
    cut = ", counted in the first of them" if overview.is_rejected_cut else ""
    filtered = [kind for kind in overview.rejected if kind.stage == "filter"]
    errors = [kind for kind in overview.rejected if kind.stage != "filter"]
    if not totals.filtered:  # an older output counts them together
        errors, filtered = list(overview.rejected), []
    for title, total, kinds in (
        ("Rejected", totals.rejected, errors),
        ("Filtered", totals.filtered, filtered),
    ):
        if total:
            yield f"<h2>{title}: {total:,}{cut}</h2>"
            if not images:
                yield (
                    '<p class="faint">Run the report with --source SOURCE to see their images.</p>'
                )
            for kind in kinds:
                yield _kind(kind, images)


def _kind(kind: RejectedKind, images: Mapping[int, SheetImage | str]) -> str:
    figures = "".join(
        _example(item.position, images[item.position])
        for item in kind.examples
        if item.position in images
    )
    first = kind.examples[0]
    reason = f"{kind.count:,} × {kind.stage}: {first.reason} (row {first.position})"
    images_html = f'<div class="images">{figures}</div>'
    return f'<section class="card"><p>{escape(reason)}</p>{images_html}</section>'


def _example(position: int, image: SheetImage | str) -> str:
    if isinstance(image, str):
        text = f"row {position}: {image}"
        return f"<figure><figcaption>{escape(text)}</figcaption></figure>"
    caption = f"row {position}, {image.size}"
    return (
        f'<figure><img src="{data_url(image.data)}" alt="{escape(caption)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _speed(overview: Overview) -> Iterator[str]:
    points = overview.finished
    if len(points) < 2 or points[-1][0] < 1:
        return
    seconds, samples = points[-1][0], points[-1][1] - points[0][1]
    pace = f"{samples / seconds:,.0f} samples/s after the first shard"
    chart = curve(points, "samples over time", ("first shard", f"{seconds:,.0f} s later"))
    title = "Samples over time, by the times of the shard files"
    yield f'<h2>{title}</h2><p class="faint">{pace}</p>{chart}'


def _head(overview: Overview) -> Iterator[str]:
    head = overview.manifest.head
    for title, fields in (
        ("Recipe", head.options),
        ("Source", head.source),
        ("Versions", head.versions),
    ):
        rows = [(name, _text(value)) for name, value in fields.items() if value not in (None, [])]
        if rows:
            yield f"<h2>{title}</h2>\n{table(('name', 'value'), rows)}"


def _text(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return shortened(text, 400)
