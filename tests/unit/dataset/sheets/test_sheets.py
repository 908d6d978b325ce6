"""Pages show what they are given, and nothing in a dataset can act in them."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from wdsremux.dataset.sheets.charts import bars, curve, histogram
from wdsremux.dataset.sheets.preview import spread
from wdsremux.dataset.sheets.sheet import Sheet, SheetRow, original_image, packed_image
from wdsremux.dataset.sheets.sheet_html import sheet_html
from wdsremux.dataset.sheets.sheet_png import WIDTH_PX, sheet_png
from wdsremux.transforms.codecs.codec import Codec

HOSTILE = "<script>alert(1)</script>\x1b]0;t\x07\u202e"


def image(width, height):
    pixels = np.random.default_rng(2).integers(0, 256, (height, width, 3), np.uint8)
    return Codec().encode(pixels)


def sheet(rows=3, text="cat"):
    shown = packed_image(image(64, 48), Codec(), ("flip left to right",))
    original = original_image(image(640, 480), Codec())
    return Sheet(
        text, (text,), tuple(SheetRow(text, text, original, (shown, shown)) for _ in range(rows))
    )


def test_a_page_shows_the_original_and_every_copy():
    page = sheet_html(sheet())
    assert page.count("<figure>") == 9
    assert page.count("flip left to right") == 6
    assert "<b>original</b><br>640 × 480" in page
    assert "<b>copy 1</b><br>64 × 48" in page


def test_a_page_needs_no_network_and_runs_no_script():
    page = sheet_html(sheet(text=HOSTILE))
    assert "<script" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "&lt;script&gt;" in page
    assert re.findall(r'(?:src|href)="(?!data:image/)', page) == []


def test_charts_escape_the_names_of_a_dataset():
    for chart in (
        bars([(HOSTILE, 3)], HOSTILE),
        histogram([1, 2, 2], HOSTILE, (HOSTILE, HOSTILE)),
        curve([(0.0, 1.0), (2.0, 5.0)], HOSTILE, (HOSTILE, HOSTILE)),
    ):
        assert "<script" not in chart
        assert "\x1b" not in chart


def test_the_bars_are_as_long_as_the_numbers_say():
    widths = re.findall(
        r'<rect class="bar"[^>]* width="([\d.]+)"', bars([("a", 50), ("b", 25)], "")
    )
    assert float(widths[0]) == 2 * float(widths[1])


@pytest.mark.parametrize("values", [[5], [5, 5], [0, 1, 2, 1000]])
def test_a_histogram_counts_every_value_once(values):
    counts = re.findall(r"<title>(\d+)</title>", histogram(values, "", ("", "")))
    assert sum(map(int, counts)) == len(values)


def test_a_picture_has_all_rows_and_a_fixed_width():
    one, many = (Image.open(io.BytesIO(sheet_png(sheet(rows)))) for rows in (1, 30))
    assert one.width == many.width == WIDTH_PX
    assert many.height > 5 * one.height / 2


def test_a_thumbnail_is_small_and_shows_the_size_of_the_original():
    shown = original_image(image(1000, 500), Codec())
    assert Image.open(io.BytesIO(shown.data)).size == (320, 160)
    assert shown.size.startswith("1000 × 500")


@pytest.mark.parametrize(("total", "wanted"), [(0, 5), (3, 5), (5, 5), (100, 7)])
def test_spread_numbers_are_different_and_inside(total, wanted):
    numbers = spread(total, wanted)
    assert len(numbers) == len(set(numbers)) == min(total, wanted)
    assert all(0 <= number < total for number in numbers)
