"""A contact sheet as one picture, for places without a browser."""

import io

from PIL import Image, ImageDraw, ImageFont

from wdsremux.core.escaping import escaped
from wdsremux.core.option_values import shortened
from wdsremux.dataset.sheets.sheet import Sheet, SheetImage, SheetRow

WIDTH_PX = 1280
_CELL_PX = 160
_GAP_PX = 12
_LINE_PX = 17
_MAX_LINES = 8
_TEXT = (29, 31, 33)
_FAINT = (92, 97, 102)
_PROBLEM = (176, 80, 0)
_BACK = (251, 251, 250)
_MISSING = str.maketrans({"×": "x", "→": ">", "°": " deg"})
"""Characters that Pillow's own font does not have."""


def sheet_png(sheet: Sheet) -> bytes:
    """Return a sheet as a PNG that is 1280 pixels wide."""
    per_row = max((_cells(row) for row in sheet.rows), default=1)
    block_px = min(per_row, _columns(WIDTH_PX)) * (_CELL_PX + _GAP_PX)
    across = max(1, min(len(sheet.rows), (WIDTH_PX - _GAP_PX) // block_px))
    blocks = [_block(row, block_px) for row in sheet.rows]
    lines = [blocks[at : at + across] for at in range(0, len(blocks), across)]
    top = _GAP_PX * 2 + _LINE_PX * (len(sheet.facts) + 1)
    height = top + sum(max(block.height for block in line) + _GAP_PX for line in lines)
    picture = Image.new("RGB", (WIDTH_PX, height), _BACK)
    pen = ImageDraw.Draw(picture)
    for number, text in enumerate((sheet.title, *sheet.facts)):
        place = (_GAP_PX, _GAP_PX + number * _LINE_PX)
        _write(pen, place, text, WIDTH_PX, _FAINT if number else _TEXT)
    for line in lines:
        for number, block in enumerate(line):
            picture.paste(block, (_GAP_PX + number * block_px, top))
        top += max(block.height for block in line) + _GAP_PX
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def _columns(width_px: int) -> int:
    return (width_px - _GAP_PX) // (_CELL_PX + _GAP_PX)


def _cells(row: SheetRow) -> int:
    return max(1, len(row.packed) + (row.original is not None))


def _block(row: SheetRow, width_px: int) -> Image.Image:
    """Draw one row: its title, then its images with what was done to them."""
    images = [image for image in (row.original, *row.packed) if image is not None]
    columns = _columns(width_px + _GAP_PX)
    lines = [images[at : at + columns] for at in range(0, len(images), columns)]
    texts = max((len(image.lines) + 1 for image in images), default=0)
    cell_px = _CELL_PX + _LINE_PX * min(texts, _MAX_LINES) + _GAP_PX
    head_px = _LINE_PX * (2 if row.problem else 1)
    block = Image.new("RGB", (width_px, head_px + cell_px * max(1, len(lines))), _BACK)
    pen = ImageDraw.Draw(block)
    label = f"  [{row.label}]" if row.label else ""
    _write(pen, (0, 0), f"{row.title}{label}", width_px, _TEXT)
    if row.problem:
        _write(pen, (0, _LINE_PX), row.problem, width_px, _PROBLEM)
    for number, line in enumerate(lines):
        for column, image in enumerate(line):
            place = column * (_CELL_PX + _GAP_PX), head_px + number * cell_px
            _draw(block, pen, image, place)
    return block


def _draw(
    block: Image.Image, pen: ImageDraw.ImageDraw, image: SheetImage, place: tuple[int, int]
) -> None:
    left, top = place
    with Image.open(io.BytesIO(image.data)) as shown:
        shown.thumbnail((_CELL_PX, _CELL_PX))
        block.paste(shown, place)
        top += shown.height + 2
    described = f"{image.what}: {image.size}" if image.what else image.size
    for text in (described, *image.lines)[:_MAX_LINES]:
        _write(pen, (left, top), text, _CELL_PX, _FAINT)
        top += _LINE_PX


def _write(
    pen: ImageDraw.ImageDraw,
    place: tuple[int, int],
    text: str,
    width_px: int,
    colour: tuple[int, int, int],
) -> None:
    """Write one line, shortened to the width."""
    font = ImageFont.load_default(13)
    text = escaped(text).translate(_MISSING)
    chars = len(text)
    while chars > 4 and pen.textlength(shortened(text, chars), font) > width_px:
        chars -= 1
    pen.text(place, shortened(text, chars), colour, font)
