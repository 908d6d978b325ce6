"""A function's file may set every global switch of Python and its libraries: no byte depends on it.

What our decoding, resampling, encoding and JSON could look at, in threads of its own or in worker
processes: each switch is set when the file is imported, and again in each call.
"""

import struct

import pytest
from PIL import Image
from support.pictures import photo, saved
from support.runs import convert, rejected, shards

pytestmark = pytest.mark.integration

SWITCHES = {
    "Pillow truncated": "ImageFile.LOAD_TRUNCATED_IMAGES = True",
    "Pillow pixels": "Image.MAX_IMAGE_PIXELS = 10",
    "Pillow blocks": "ImageFile.MAXBLOCK = 64; ImageFile.SAFEBLOCK = 64",
    "Pillow text": "PngImagePlugin.MAX_TEXT_CHUNK = 4; PngImagePlugin.MAX_TEXT_MEMORY = 4",
    "Pillow formats": "Image.init(); Image.OPEN.clear(); Image.SAVE.pop('PNG')",
    "OpenCV": "cv2.setNumThreads(4); cv2.setUseOptimized(False); cv2.setRNGSeed(7)",
    "NumPy errors": "np.seterr(all='raise'); np.set_printoptions(precision=1)",
    "warnings": "warnings.simplefilter('error')",
    "decimal": "decimal.getcontext().prec = 2; decimal.setcontext(decimal.BasicContext)",
    "locale": "[locale.setlocale(locale.LC_ALL, name) for name in ('C', 'C.UTF-8')]",
    "random": "random.seed(0); np.random.seed(0)",
    "environment": "os.environ.clear()",
    "folder": "os.chdir('/')",
    "umask": "os.umask(0o777)",
    "signals": "signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGCHLD, signal.SIG_DFL)",
    "recursion": "sys.setrecursionlimit(20_000)",
    "sockets": "socket.setdefaulttimeout(0.001)",
    "encoding": "json.encoder.FLOAT_REPR = str; sys.set_int_max_str_digits(700)",
    "garbage": "gc.disable(); sys.setswitchinterval(0.5)",
    "import path": "sys.path.clear(); sys.dont_write_bytecode = True",
}
IMPORTS = (
    "import decimal, gc, json, locale, os, random, signal, socket, sys, warnings\n"
    "import cv2\nimport numpy as np\nfrom PIL import Image, ImageFile, PngImagePlugin\n"
)
FUNCTION = """
def switch():
    {switch}

switch()

def same(image):
    switch()
    return image.resize((24, 24))
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Return images of many kinds, some of them damaged in ways that switches could forgive."""
    folder, image = tmp_path_factory.mktemp("source"), photo("coffee").resize((90, 60))
    jpeg, png = saved(image, "JPEG"), saved(image, "PNG")
    (folder / "0.jpg").write_bytes(jpeg)
    (folder / "1.jpg").write_bytes(jpeg[: len(jpeg) * 2 // 3])
    (folder / "2.png").write_bytes(png)
    (folder / "3.png").write_bytes(png[: len(png) * 2 // 3])
    (folder / "4.tif").write_bytes(saved(image.convert("F").point(lambda v: v / 255), "TIFF"))
    (folder / "5.webp").write_bytes(saved(image.convert("RGBA"), "WEBP"))
    exif = (
        b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 40) + struct.pack("<HHIHH", 274, 3, 1, 6, 0)
    )
    (folder / "6.jpg").write_bytes(saved(image, "JPEG", exif=exif))
    (folder / "7.jpg").write_bytes(saved(image.convert("CMYK"), "JPEG"))
    (folder / "8.png").write_bytes(saved(image.quantize(16), "PNG"))
    large = Image.new("RGB", (400, 300), (9, 99, 199))
    (folder / "9.png").write_bytes(saved(large, "PNG"))
    return folder


def made(source, folder, switch, workers):
    """Convert with a function that sets a switch; return the shards and the rejected rows."""
    folder.mkdir()
    file = folder / "function.py"
    file.write_text(IMPORTS + FUNCTION.format(switch=switch))
    words = ("--transform", f"{file}:same", "--transform-mode", "image", "--max-errors", "50%")
    out = folder / "out"
    convert(source, out, *words, "--workers", workers, "--step", "sharpen")
    return shards(out), [(item["position"], item["reason"]) for item in rejected(out)]


@pytest.fixture(scope="module")
def plain(source, tmp_path_factory):
    found = made(source, tmp_path_factory.mktemp("plain") / "made", "pass", 1)
    assert [row for row, _ in found[1]] == [1, 3]
    return found


@pytest.mark.parametrize("name", SWITCHES)
def test_a_switch_changes_no_byte_and_no_reject(source, plain, tmp_path, name):
    for workers in (1, 2):
        found = made(source, tmp_path / str(workers), SWITCHES[name], workers)
        assert found == plain, name


def test_all_switches_together_change_no_byte_in_the_process_of_the_run(source, plain, tmp_path):
    together = [s for n, s in SWITCHES.items() if n not in ("umask", "import path", "signals")]
    assert made(source, tmp_path / "all", "; ".join(together), 0) == plain
