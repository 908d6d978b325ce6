"""Operations of steps on pixels, by OpenCV and Pillow."""

from abc import ABC, abstractmethod

import numpy as np
from PIL import Image

from wdsremux.transforms.base import Pixels, rgb
from wdsremux.transforms.libraries import ImageEnhance, ImageOps, cv2


class PixelWork(ABC):
    """The operations of a picture that need its pixels: pending geometry is applied first."""

    matte: tuple[int, int, int]

    @abstractmethod
    def raw(self) -> Pixels:
        """Return the pixels, H×W×3 RGB or H×W×4 RGBX."""

    @abstractmethod
    def replace(self, pixels: Pixels) -> None:
        """Replace the pixels."""

    @abstractmethod
    def check_room(self, width: int, height: int) -> None:
        """Raise StepError for more pixels than an image may have."""

    def pad(self, left: int, top: int, right: int, bottom: int) -> None:
        """Add pixels of the matte's colour on each side. Raises StepError."""
        pixels = rgb(self.raw())
        height, width = pixels.shape[:2]
        self.check_room(left + width + right, top + height + bottom)
        self._replace(
            cv2.copyMakeBorder(
                pixels, top, bottom, left, right, cv2.BORDER_CONSTANT, value=self.matte
            )
        )

    def sharpen(self) -> None:
        """Sharpen with the 3 × 3 kernel of Pillow's SHARPEN; edge pixels are repeated."""
        # The kernel is 32 in the middle of eight -2, over 16: 17/8 of the pixel less 1/8 of the sum
        # over all nine. All of it is exact in floating point, in any order, on any CPU; and a sum
        # that moves along takes 0.7 of the time of `filter2D`.
        pixels = rgb(self.raw())
        sums = cv2.boxFilter(
            pixels, cv2.CV_32F, (3, 3), normalize=False, borderType=cv2.BORDER_REPLICATE
        )
        self._replace(cv2.addWeighted(pixels, 17 / 8, sums, -1 / 8, 0, dtype=cv2.CV_8U))

    def blur(self, sigma: float) -> None:
        """Blur by a Gaussian of this standard deviation in pixels; mirrored at the edge."""
        self._replace(cv2.GaussianBlur(rgb(self.raw()), (0, 0), sigma))

    def fill(self, left: int, top: int, width: int, height: int) -> None:
        """Make a part black."""
        pixels = rgb(self.raw()).copy()
        pixels[top : top + height, left : left + width] = 0
        self.replace(pixels)

    def rotate(self, degrees: float) -> None:
        """Turn counter-clockwise about the centre, bicubic; same size, corners of the matte."""
        self._replace_image(
            self._image().rotate(degrees, Image.Resampling.BICUBIC, fillcolor=self.matte)
        )

    def brightness(self, factor: float) -> None:
        """Multiply all values: 0 is black, 1 changes nothing."""
        self._replace_image(ImageEnhance.Brightness(self._image()).enhance(factor))

    def contrast(self, factor: float) -> None:
        """Stretch the distance to the mean gray: 0 is that gray, 1 changes nothing."""
        self._replace_image(ImageEnhance.Contrast(self._image()).enhance(factor))

    def saturation(self, factor: float) -> None:
        """Stretch the distance to the gray image: 0 is gray, 1 changes nothing."""
        self._replace_image(ImageEnhance.Color(self._image()).enhance(factor))

    def hue(self, shift: float) -> None:
        """Turn the colour wheel by a share of its circle, -0.5 to 0.5."""
        hue, saturation, value = self._image().convert("HSV").split()
        turned = hue.point([(level + int(shift * 255)) % 256 for level in range(256)])
        self._replace_image(Image.merge("HSV", (turned, saturation, value)).convert("RGB"))

    def gray(self) -> None:
        """Take the colours away: three equal channels of ITU-R 601 luma."""
        self._replace_image(self._image().convert("L").convert("RGB"))

    def autocontrast(self) -> None:
        """Stretch every channel from its darkest to its brightest value."""
        self._replace_image(ImageOps.autocontrast(self._image()))

    def equalize(self) -> None:
        """Make every channel's values equally frequent."""
        self._replace_image(ImageOps.equalize(self._image()))

    def posterize(self, bits: int) -> None:
        """Keep the highest bits of every value, 1 to 8."""
        self._replace_image(ImageOps.posterize(self._image(), bits))

    def solarize(self, threshold: int) -> None:
        """Invert all values from the threshold on."""
        self._replace_image(ImageOps.solarize(self._image(), threshold))

    def _image(self) -> Image.Image:
        return Image.fromarray(rgb(self.raw()))

    def _replace_image(self, image: Image.Image) -> None:
        self.replace(np.array(image))

    def _replace(self, pixels: object) -> None:
        """Replace the pixels by a result of OpenCV, whose stubs do not promise uint8."""
        self.replace(np.asarray(pixels, np.uint8))
