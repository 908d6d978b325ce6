"""A function's file may set every global switch of Python and its libraries: no byte depends on it.

What our decoding, resampling, encoding and JSON could look at: all switches are set when the file
is imported and again in each call, in the process of the run, in workers, and beside threads. Only
if something differs is each switch tried alone, to name it.
"""

import struct
import subprocess
import sys

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
    "Pillow formats": "Image.init(); Image.ID.reverse(); Image.OPEN.pop('PPM', None)",
    "Pillow decoders": "Image.register_decoder('zip', None); Image.DECODERS.clear()",
    "OpenCV": "cv2.setNumThreads(4); cv2.setUseOptimized(False); cv2.setRNGSeed(7)",
    "NumPy": "np.seterr(all='raise'); np.set_printoptions(precision=1)",
    "warnings": "warnings.simplefilter('error')",
    "decimal": "decimal.getcontext().prec = 2; decimal.setcontext(decimal.BasicContext)",
    "locale": "[locale.setlocale(locale.LC_ALL, name) for name in ('C', 'C.UTF-8')]",
    "random": "random.seed(0); np.random.seed(0)",
    "time zone": "os.environ['TZ'] = 'Asia/Kathmandu'; time.tzset()",
    "environment": "os.environ.clear()",
    "folder": "os.chdir('/')",
    "recursion": "sys.setrecursionlimit(20_000)",
    "sockets": "socket.setdefaulttimeout(0.001)",
    "digits": "json.encoder.FLOAT_REPR = str; sys.set_int_max_str_digits(700)",
    "garbage": "gc.disable(); sys.setswitchinterval(0.5)",
    "umask": "os.umask(0o077)",
    "child signals": "signal.signal(signal.SIGCHLD, signal.SIG_DFL)",
}
IN_WORKERS = {
    "umask": "os.umask(0o777)",
    "signals": "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
    "byte code": "sys.dont_write_bytecode = True",
}
"""Of a worker process only: in the run itself they have an effect that the user wants."""
IMPORTS = (
    "import decimal, gc, json, locale, os, random, signal, socket, sys, time, warnings\n"
    "import cv2\nimport numpy as np\nfrom PIL import Image, ImageFile, PngImagePlugin\n"
)
FUNCTION = """
def switch():
    {switches}

switch()

def same(image):
    switch()
    return image.resize((24, 24))
"""
BESIDE_THREADS = """
import wdsremux

if __name__ == "__main__":
    {switches}
    wdsremux.convert({source!r}, {out!r}, steps=["resize=24"], workers=2, max_errors="50%")
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Return images of many kinds, some of them damaged in ways that switches could forgive."""
    folder, image = tmp_path_factory.mktemp("source"), photo("coffee").resize((90, 60))
    jpeg, png = saved(image, "JPEG"), saved(image, "PNG")
    tags = struct.pack("<H", 40) + struct.pack("<HHIHH", 274, 3, 1, 6, 0)
    contents = {
        "0.jpg": jpeg,
        "1.jpg": jpeg[: len(jpeg) * 2 // 3],
        "2.png": png,
        "3.png": png[: len(png) * 2 // 3],
        "4.tif": saved(image.convert("F").point(lambda value: value / 255), "TIFF"),
        "5.webp": saved(image.convert("RGBA"), "WEBP"),
        "6.jpg": saved(image, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0" + tags),
        "7.jpg": saved(image.convert("CMYK"), "JPEG"),
        "8.png": saved(image.quantize(16), "PNG"),
        "9.png": saved(Image.new("RGB", (400, 300), (9, 99, 199)), "PNG"),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return folder


def result(out):
    return shards(out), [(item["position"], item["reason"]) for item in rejected(out)]


def by_function(source, folder, switches, workers):
    """Convert with a function that sets switches; return the shards and the rejected rows."""
    folder.mkdir()
    file = folder / "function.py"
    file.write_text(IMPORTS + FUNCTION.format(switches="; ".join(switches)))
    words = ("--transform", f"{file}:same", "--transform-mode", "image", "--max-errors", "50%")
    words += ("--format", "png")  # Pillow writes it
    convert(source, folder / "out", *words, "--workers", workers, "--step", "sharpen")
    return result(folder / "out")


def beside_threads(source, folder, switches, _workers):
    """Convert in threads of a process that has set switches."""
    folder.mkdir()
    words = {"source": str(source), "out": str(folder / "out"), "switches": "; ".join(switches)}
    (folder / "program.py").write_text(IMPORTS + BESIDE_THREADS.format(**words))
    subprocess.run([sys.executable, folder / "program.py"], check=True, capture_output=True)
    return result(folder / "out")


@pytest.mark.parametrize(
    ("run", "workers", "switches"),
    [
        (by_function, 0, SWITCHES),
        (by_function, 2, SWITCHES | IN_WORKERS),
        (beside_threads, 2, SWITCHES),
    ],
    ids=["the process of the run", "workers", "threads"],
)
def test_no_switch_changes_a_byte_or_a_reject(source, tmp_path, run, workers, switches):
    plain = run(source, tmp_path / "plain", ["pass"], workers)
    assert [row for row, _ in plain[1]] == [1, 3]
    if run(source, tmp_path / "all", switches.values(), workers) == plain:
        return
    changing = [
        name
        for name, switch in switches.items()
        if run(source, tmp_path / name, [switch], workers) != plain
    ]
    pytest.fail(f"what is packed depends on: {changing or 'several switches together'}")
