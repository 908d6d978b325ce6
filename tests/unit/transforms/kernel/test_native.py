"""The C extension by itself; the whole path through it is in test_native_pictures.py."""

import hashlib
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter
from support.pictures import noise, opened, photos, psnr, saved, scene, worst

from wdsremux.transforms.kernel import choice
from wdsremux.transforms.kernel.native import NativeJpeg, UnreadableError, rows_needed
from wdsremux.transforms.pending_geometry import PendingGeometry, whole

VECTORS = choice.extension().VECTORS
ORDERS = [(t, m, i) for t in (False, True) for m in (False, True) for i in (False, True)]


def size_of(data):
    return opened(data).shape[1::-1]


def kernel_of(data, vectors=""):
    return NativeJpeg(data, size_of(data), vectors)


def scale_of(plan, divisor=1):
    return (divisor, *rows_needed(plan, divisor))


def rgb(data, plan, filters=(), divisor=1, vectors=""):
    return kernel_of(data, vectors).rgb(plan, filters, scale_of(plan, divisor))


def jpeg(data, plan, filters=(), divisor=1, vectors="", subsampling="420"):
    scale = scale_of(plan, divisor)
    return kernel_of(data, vectors).jpeg(plan, filters, scale, subsampling, 90)


def wanted(data, plan):
    """Return what Pillow makes of the full decode."""
    image = Image.fromarray(opened(data)).resize(
        plan.target, Image.Resampling.BICUBIC, box=plan.box
    )
    for flag, turn in (
        (plan.transposed, Image.Transpose.TRANSPOSE),
        (plan.mirrored, Image.Transpose.FLIP_LEFT_RIGHT),
        (plan.inverted, Image.Transpose.FLIP_TOP_BOTTOM),
    ):
        image = image.transpose(turn) if flag else image
    return np.asarray(image)


def plan_of(data, target, box=None, order=(False, False, False)):
    width, height = size_of(data)
    return PendingGeometry(
        (width, height), box or (0.0, 0.0, float(width), float(height)), target, *order
    )


@pytest.mark.parametrize("data", photos(), ids=str)
def test_photos_come_close_to_pillow(data):
    width, height = size_of(data)
    plan = plan_of(data, (201, 160), (width * 0.1, height * 0.07, width * 0.93, height * 0.95))
    assert psnr(rgb(data, plan), wanted(data, plan)) >= 44
    small = opened(jpeg(data, plan))
    assert small.shape == (160, 201, 3)
    assert np.abs((small - wanted(data, plan).astype(float)).mean((0, 1))).max() < 1


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
def test_flips_and_turns_are_those_of_pillow(order, subsampling):
    data = saved(scene(90, 61), "JPEG", quality=95, subsampling=subsampling)
    plan = plan_of(data, (45, 33), (3.0, 4.0, 84.0, 60.0), order)
    assert psnr(rgb(data, plan), wanted(data, plan)) >= 40
    for made in ("444", "420"):
        assert psnr(opened(jpeg(data, plan, subsampling=made)), wanted(data, plan)) >= 34


@pytest.mark.parametrize("kind", ["4:4:4", "4:2:2", "4:2:0", "gray", "progressive"])
@pytest.mark.parametrize("divisor", [1, 2, 4, 8])
def test_every_sampling_is_decoded_at_every_scale(kind, divisor):
    image = scene(333, 257)
    options = {"subsampling": kind} if kind[0] == "4" else {"progressive": kind == "progressive"}
    data = saved(image.convert("L") if kind == "gray" else image, "JPEG", quality=95, **options)
    plan = plan_of(data, (333 // divisor // 2, 257 // divisor // 2))
    assert psnr(rgb(data, plan, divisor=divisor), wanted(data, plan)) >= 35


@st.composite
def requests(draw):
    """Return an image and what to make of it."""
    width, height = draw(st.integers(1, 70)), draw(st.integers(1, 70))
    sampling = draw(st.sampled_from(["4:4:4", "4:2:2", "4:2:0"]))
    data = saved(Image.fromarray(noise(width, height)), "JPEG", subsampling=sampling)
    x0, x1 = sorted((draw(st.floats(0, width - 0.5)), draw(st.floats(0, width - 0.5))))
    y0, y1 = sorted((draw(st.floats(0, height - 0.5)), draw(st.floats(0, height - 0.5))))
    box = (x0, y0, x1 + 0.5, y1 + 0.5)
    target = draw(st.integers(1, 90)), draw(st.integers(1, 90))
    names = draw(st.lists(st.sampled_from(["sharpen", "blur", "gray"]), max_size=3))
    filters = tuple((name, draw(st.floats(0.1, 9)) if name == "blur" else 0.0) for name in names)
    plan = PendingGeometry((width, height), box, target, *draw(st.sampled_from(ORDERS)))
    return data, plan, filters, draw(st.sampled_from([1, 2, 4, 8]))


@settings(max_examples=300)
@given(requests())
def test_vectors_give_the_bytes_of_plain_c(request):
    data, plan, filters, divisor = request
    for subsampling in ("444", "420"):
        made = [
            jpeg(data, plan, filters, divisor, vectors, subsampling)
            for vectors in ("scalar", VECTORS)
        ]
        assert made[0] == made[1]
    pixels = [rgb(data, plan, filters, divisor, vectors) for vectors in ("scalar", VECTORS)]
    assert (pixels[0] == pixels[1]).all()
    assert pixels[0].shape[1::-1] == plan.size


@settings(max_examples=150)
@given(requests())
def test_unused_decoded_rows_change_nothing(request):
    data, plan, filters, divisor = request
    few = rgb(data, plan, filters, divisor)
    image = kernel_of(data)
    everything = image.rgb(plan, filters, (divisor, 0, plan.source[1]))
    again = image.rgb(plan, filters, scale_of(plan, divisor))
    assert (few == everything).all()
    assert (few == again).all()


DIGESTS = {
    "rgb": "c56346891d4a8fc8d9a2f63d543a519dada35643f7399fb16cec6415ef4fb410",
    "420": "1a47738da706bd5ea20b5626cceb2fecab9ef3c4fa7229f9c7f309923ab857d7",
    "444": "761ebd8f4022a84921f4756c140cd109b547654b36e009177ebf469386b3a97f",
}


@pytest.mark.parametrize("output", DIGESTS)
def test_plain_c_gives_the_bytes_recorded(output):
    digest = hashlib.sha256()
    for number, data in enumerate(photos()):
        width, height = size_of(data)
        box = (width * 0.11, height * 0.03, width * 0.9, height * 0.98)
        plan = plan_of(data, (151, 98), box, ORDERS[number % 8])
        filters = (("sharpen", 0.0),) if number % 2 else (("blur", 1.25),)
        divisor = (1, 1, 2)[number % 3]
        if output == "rgb":
            digest.update(rgb(data, plan, filters, divisor, "scalar").tobytes())
        else:
            digest.update(jpeg(data, plan, filters, divisor, "scalar", output))
    assert digest.hexdigest() == DIGESTS[output]


def test_sharpening_is_that_of_pillow_but_for_the_border():
    data = photos()[0]
    plan = plan_of(data, (256, 256))
    sharp = Image.fromarray(rgb(data, plan)).filter(ImageFilter.SHARPEN)
    inner = np.asarray(sharp)[1:-1, 1:-1]
    assert psnr(rgb(data, plan, (("sharpen", 0.0),))[1:-1, 1:-1], inner) >= 45


@pytest.mark.parametrize("sigma", [0.5, 1.0, 7.5])
def test_blur_is_a_gaussian(sigma):
    data = photos()[3]
    plan = plan_of(data, (160, 120))
    import cv2

    expected = cv2.GaussianBlur(rgb(data, plan), (0, 0), sigma)
    assert psnr(rgb(data, plan, (("blur", sigma),)), expected) >= 45


def test_gray_has_three_equal_channels():
    data = photos()[3]
    plan = plan_of(data, (160, 120))
    pixels = rgb(data, plan, (("gray", 0.0),))
    assert (pixels == pixels[..., :1]).all()
    assert worst(pixels[..., 0], np.asarray(Image.fromarray(rgb(data, plan)).convert("L"))) <= 20
    small = opened(jpeg(data, plan, (("gray", 0.0),)))
    assert (small == small[..., :1]).all()


def test_whole_pixels_are_copied():
    data = saved(Image.fromarray(noise(40, 30)).convert("L"), "JPEG")
    plan = whole((40, 30)).crop(3, 5, 20, 10)
    assert (rgb(data, plan) == opened(data)[5:15, 3:23]).all()


UNREADABLE = {
    "cmyk": saved(scene(40, 30).convert("CMYK"), "JPEG"),
    "cut": photos()[0][:-5000],
    "empty": b"",
    "no JPEG": b"\xff\xd8\xff" + bytes(500),
    "garbage within": photos()[0][:30_000] + bytes(range(256)) * 20 + photos()[0][30_500:],
    "stray bytes": photos()[0][:-2] + bytes(64) + photos()[0][-2:],
}


@pytest.mark.parametrize("data", UNREADABLE.values(), ids=UNREADABLE)
def test_unsupported_images_are_left_to_other_decoders(data):
    size = (40, 30) if len(data) < 5000 else (512, 512)
    plan = whole(size).resize(20, 20)
    image = NativeJpeg(data, size)
    for _ in range(2):
        with pytest.raises(UnreadableError):
            image.rgb(plan, (), (1, 0, size[1]))


def test_an_image_of_another_size_than_was_accepted_is_not_decoded():
    data = saved(scene(400, 300), "JPEG")
    with pytest.raises(UnreadableError):
        NativeJpeg(data, (40, 30)).rgb(whole((40, 30)).resize(8, 8), (), (1, 0, 30))


@pytest.mark.parametrize(
    ("plan", "scale"),
    [
        (PendingGeometry((40, 30), (0.0, 0.0, 40.5, 30.0), (8, 8)), (1, 0, 30)),
        (PendingGeometry((40, 30), (5.0, 0.0, 5.0, 30.0), (8, 8)), (1, 0, 30)),
        (PendingGeometry((40, 30), (float("nan"), 0.0, 5.0, 30.0), (8, 8)), (1, 0, 30)),
        (PendingGeometry((40, 30), (0.0, 0.0, 40.0, 30.0), (0, 8)), (1, 0, 30)),
        (PendingGeometry((40, 30), (0.0, 0.0, 40.0, 30.0), (8, 70_000)), (1, 0, 30)),
        (PendingGeometry((40, 30), (0.0, 0.0, 40.0, 30.0), (8, 8)), (1, 0, 31)),
        (PendingGeometry((40, 30), (0.0, 0.0, 40.0, 30.0), (8, 8)), (1, -1, 30)),
        (PendingGeometry((40, 30), (0.0, 0.0, 40.0, 30.0), (8, 8)), (1, 16, 16)),
        (PendingGeometry((40, 30), (0.0, 0.0, 40.0, 30.0), (8, 8)), (1, 16, 30)),
        (PendingGeometry((40, 30), (0.0, 0.0, 40.0, 30.0), (8, 8)), (3, 0, 30)),
    ],
)
def test_invalid_requests_are_refused(plan, scale):
    data = saved(scene(40, 30), "JPEG", subsampling="4:4:4")
    with pytest.raises(ValueError, match=r"not of this image|divisor"):
        NativeJpeg(data, (40, 30)).rgb(plan, (), scale)


@pytest.mark.parametrize("filters", [(("paint", 0.0),), (("blur", 0.0),), (("blur", 1e9),)])
def test_invalid_filters_are_refused(filters):
    data = saved(scene(40, 30), "JPEG")
    with pytest.raises(ValueError, match="no filter"):
        rgb(data, whole((40, 30)), filters)


def test_vectors_that_the_cpu_lacks_are_refused():
    with pytest.raises(ValueError, match="this CPU has no vectors mmx"):
        NativeJpeg(saved(scene(40, 30), "JPEG"), (40, 30), "mmx")


def test_threads_do_not_disturb_each_other():
    jobs = [(data, plan_of(data, (120, 90))) for data in photos()]
    alone = [jpeg(*job) for job in jobs]
    together = {}

    def work(begin):
        for shift in range(3 * len(jobs)):
            number = (begin + shift) % len(jobs)
            together.setdefault((begin, shift), (number, jpeg(*jobs[number])))

    threads = [threading.Thread(target=work, args=(begin,)) for begin in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(together) == 4 * 3 * len(jobs)
    assert all(made == alone[number] for number, made in together.values())


def test_pixels_belong_to_the_caller():
    data = photos()[0]
    image, plan = kernel_of(data), plan_of(data, (64, 64))
    first = image.rgb(plan, (), scale_of(plan))
    kept = first.copy()
    first[:] = 0
    image.close()
    assert (image.rgb(plan, (), scale_of(plan)) == kept).all()
