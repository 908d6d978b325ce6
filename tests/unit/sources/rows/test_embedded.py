import base64

import pytest

from wdsremux.sources.rows.embedded import embedded_image, first_of, has_embedded_start, shown

JPEG = b"\xff\xd8\xff" + bytes(range(200))
TEXT = base64.b64encode(JPEG).decode()


@pytest.mark.parametrize("text", [TEXT, f"data:image/jpeg;base64,{TEXT}", f"\n{TEXT}"])
def test_base64_of_an_image_is_the_image(text):
    assert has_embedded_start(text)
    assert embedded_image(text) == JPEG


@pytest.mark.parametrize(
    "value", ["a/b.jpg", "A" * 100, base64.b64encode(b"no image" * 20).decode(), None, 3, b"x" * 99]
)
def test_other_values_hold_no_image(value):
    assert not has_embedded_start(value)
    assert not isinstance(value, str) or embedded_image(value) is None


def test_damaged_base64_holds_no_image():
    assert embedded_image(TEXT[:41] + "é" + TEXT[42:]) is None


def test_the_first_image_of_a_list_is_taken():
    assert first_of([JPEG, b"x"]) == JPEG
    assert first_of([]) is None
    assert first_of(JPEG) == JPEG


def test_a_long_path_is_shortened():
    assert len(shown("x" * 10_000)) < 110
