"""Libraries for images that most runs do not use: each is imported when an image needs it.

Short because it only names them, and keeps their own threads off in workers.
"""

from typing import TYPE_CHECKING, Any

from wdsremux.core.lazy_module import LazyModule

if TYPE_CHECKING:
    import cv2
    from PIL import (
        AvifImagePlugin,
        BmpImagePlugin,
        GifImagePlugin,
        ImageCms,
        ImageEnhance,
        ImageOps,
        Jpeg2KImagePlugin,
        JpegImagePlugin,
        PngImagePlugin,
        TiffImagePlugin,
        WebPImagePlugin,
    )
else:
    cv2 = LazyModule("cv2")
    AvifImagePlugin = LazyModule("PIL.AvifImagePlugin")
    BmpImagePlugin = LazyModule("PIL.BmpImagePlugin")
    GifImagePlugin = LazyModule("PIL.GifImagePlugin")
    ImageCms = LazyModule("PIL.ImageCms")
    ImageEnhance = LazyModule("PIL.ImageEnhance")
    ImageOps = LazyModule("PIL.ImageOps")
    Jpeg2KImagePlugin = LazyModule("PIL.Jpeg2KImagePlugin")
    JpegImagePlugin = LazyModule("PIL.JpegImagePlugin")
    PngImagePlugin = LazyModule("PIL.PngImagePlugin")
    TiffImagePlugin = LazyModule("PIL.TiffImagePlugin")
    WebPImagePlugin = LazyModule("PIL.WebPImagePlugin")

__all__ = [
    "AvifImagePlugin",
    "BmpImagePlugin",
    "GifImagePlugin",
    "ImageCms",
    "ImageEnhance",
    "ImageOps",
    "Jpeg2KImagePlugin",
    "JpegImagePlugin",
    "PngImagePlugin",
    "TiffImagePlugin",
    "WebPImagePlugin",
    "cv2",
    "quiet_libraries",
]


def quiet_libraries(*, for_function: bool = False) -> None:
    """Turn off the libraries' own threads in this process: workers are the parallelism.

    Called once at the start of a worker, never at import. The results do not depend on it. A user's
    function may import the libraries itself: for one, they are imported now.
    """
    found: list[tuple[Any, Any]] = [(cv2, _quiet_opencv), (AvifImagePlugin, _quiet_avif)]
    for library, quiet in found:
        library.when_imported(quiet)
    if for_function:
        _ = cv2.setNumThreads, AvifImagePlugin.DEFAULT_MAX_THREADS


def _quiet_opencv(module: Any) -> None:
    module.setNumThreads(1)


def _quiet_avif(module: Any) -> None:
    module.DEFAULT_MAX_THREADS = 1
