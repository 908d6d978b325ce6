"""Plain SVG charts: bars, a histogram, a curve; readable without colours."""

from collections.abc import Sequence

from wdsremux.core.option_values import shortened
from wdsremux.dataset.sheets.html import escape

WIDTH_PX = 600
_BAR_PX = 20
_NAME_PX = 150
_NUMBER_PX = 90
_HEIGHT_PX = 150
_BINS = 24
_NAME_CHARS = 22


def bars(rows: Sequence[tuple[str, int]], title: str) -> str:
    """Return horizontal bars with their names and numbers."""
    most = max((count for _, count in rows), default=0) or 1
    room = WIDTH_PX - _NAME_PX - _NUMBER_PX
    parts = []
    for number, (name, count) in enumerate(rows):
        top = number * _BAR_PX
        length = max(1.0, room * count / most) if count else 0.0
        middle = top + _BAR_PX - 6
        parts.append(
            f"<g><title>{escape(name)}: {count:,}</title>"
            f'<text x="{_NAME_PX - 8}" y="{middle}" text-anchor="end">'
            f"{escape(shortened(name, _NAME_CHARS))}</text>"
            f'<rect class="bar" x="{_NAME_PX}" y="{top + 3}" width="{length:.1f}" '
            f'height="{_BAR_PX - 6}"/>'
            f'<text class="faint" x="{_NAME_PX + length + 6:.1f}" y="{middle}">{count:,}</text></g>'
        )
    return _svg("".join(parts), len(rows) * _BAR_PX, title)


def histogram(values: Sequence[int], title: str, shown: Sequence[str]) -> str:
    """Return a histogram; `shown` are the labels of the smallest and the largest value."""
    low, high = min(values), max(values)
    bins = min(_BINS, high - low + 1)
    counts = [0] * bins
    for value in values:
        counts[min(bins - 1, (value - low) * bins // (high - low + 1))] += 1
    most, step = max(counts), WIDTH_PX / bins
    parts = [
        f'<rect class="bar" x="{at * step + 1:.1f}" y="{_HEIGHT_PX * (1 - count / most):.1f}" '
        f'width="{max(1.0, step - 2):.1f}" height="{_HEIGHT_PX * count / most:.1f}">'
        f"<title>{count:,}</title></rect>"
        for at, count in enumerate(counts)
    ]
    return _svg("".join(parts) + _axis(shown), _HEIGHT_PX + _BAR_PX, title)


def curve(points: Sequence[tuple[float, float]], title: str, shown: Sequence[str]) -> str:
    """Return a curve through points; `shown` are the labels of the first and the last x."""
    wide = max(x for x, _ in points) or 1.0
    high = max(y for _, y in points) or 1.0
    path = " ".join(
        f"{WIDTH_PX * x / wide:.1f},{_HEIGHT_PX * (1 - y / high) + 1:.1f}" for x, y in points
    )
    body = f'<polyline class="curve" points="{path}"/>'
    return _svg(body + _axis(shown), _HEIGHT_PX + _BAR_PX, title)


def _axis(shown: Sequence[str]) -> str:
    base = _HEIGHT_PX + 16
    first, last = shown
    return (
        f'<line class="axis" x1="0" y1="{_HEIGHT_PX}" x2="{WIDTH_PX}" y2="{_HEIGHT_PX}"/>'
        f'<text class="faint" x="0" y="{base}">{escape(first)}</text>'
        f'<text class="faint" x="{WIDTH_PX}" y="{base}" text-anchor="end">{escape(last)}</text>'
    )


def _svg(body: str, height_px: int, title: str) -> str:
    return (
        f'<svg role="img" aria-label="{escape(title)}" viewBox="0 0 {WIDTH_PX} {height_px}" '
        f'width="{WIDTH_PX}" height="{height_px}">{body}</svg>'
    )
