"""A contact sheet as HTML: one card for each row.

Short because the page around it is shared with the report.
"""

from wdsremux.dataset.sheets.html import data_url, escape, heading, page
from wdsremux.dataset.sheets.sheet import Sheet, SheetImage, SheetRow

FIGURE_PX = 180
"""Width of an image and the gap after it."""
MAX_CARD_PX = 600


def sheet_html(sheet: Sheet) -> str:
    """Return a sheet as one page that needs no network."""
    cards = "\n".join(_card(row) for row in sheet.rows)
    images = max((len(row.packed) + (row.original is not None) for row in sheet.rows), default=1)
    width_px = min(MAX_CARD_PX, images * FIGURE_PX + 26)
    top = heading(sheet.title, sheet.facts)
    style = f'style="--card-width: {width_px}px"'
    return page(sheet.title, f'{top}\n<main class="cards" {style}>\n{cards}\n</main>')


def _card(row: SheetRow) -> str:
    label = f'<span class="label">{escape(row.label)}</span>' if row.label else ""
    figures = [_figure(row.original, "original")] if row.original is not None else []
    copies, copy = sum(not image.what for image in row.packed), -1
    for image in row.packed:
        copy += not image.what
        own = f"copy {copy}" if copies > 1 else "packed"
        figures.append(_figure(image, f"{own}: {image.what}" if image.what else own))
    problem = f'<p class="problem">{escape(row.problem)}</p>' if row.problem else ""
    return (
        f'<section class="card"><h3>{escape(row.title)} {label}</h3>\n'
        f'<div class="images">{"".join(figures)}</div>{problem}</section>'
    )


def _figure(image: SheetImage, what: str) -> str:
    lines = "<br>".join(escape(line) for line in (image.size, *image.lines))
    return (
        f'<figure><img src="{data_url(image.data)}" alt="{escape(what)}" loading="lazy">'
        f"<figcaption><b>{escape(what)}</b><br>{lines}</figcaption></figure>"
    )
