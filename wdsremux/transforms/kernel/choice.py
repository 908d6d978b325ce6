"""Which kernel makes the images: it decides bytes, so its name and version are recorded.

The native kernel is a C extension that an installation may lack; the portable one is the path over
RGB pixels with the packages that wdsremux depends on. Light to import.
"""

import importlib
import sys
from types import ModuleType
from typing import Literal

from wdsremux.core.errors import UsageError

Kernel = Literal["native", "portable"]

PORTABLE = "portable"
"""How the portable kernel is recorded: its packages are recorded by themselves."""
_NATIVE_VERSION = 1
"""Raised whenever the native kernel makes other bytes of the same image."""
_EXTENSION = "wdsremux.transforms.kernel._native"

HOW_TO_BUILD = (
    "install a C compiler and the headers of libjpeg-turbo (Debian: apt-get install gcc "
    "libjpeg62-turbo-dev), then reinstall wdsremux"
)


def extension() -> ModuleType | None:
    """Return the C extension; None where it is not built."""
    found = sys.modules.get(_EXTENSION)
    if found is not None:
        return found
    try:
        return importlib.import_module(_EXTENSION)
    except ImportError:
        return None


def native_version() -> str | None:
    """Return how the native kernel is recorded, "native 1 (libjpeg-turbo 2.1.5)"; None without."""
    module = extension()
    if module is None:
        return None
    return f"native {_NATIVE_VERSION} (libjpeg-turbo {module.LIBJPEG_TURBO})"


def recorded_as(kernel: Kernel) -> str:
    """Return how a kernel is recorded. Raises UsageError when it is not built."""
    if kernel == "portable":
        return PORTABLE
    version = native_version()
    if version is None:
        raise UsageError(f"the native kernel is not built here; {HOW_TO_BUILD}")
    return version


def chosen_kernel(wanted: str) -> Kernel:
    """Return the kernel that `--kernel` asks for.

    Raises UsageError when it asks for the native kernel, and that kernel is not built.
    """
    is_built = extension() is not None
    if wanted == "native" and not is_built:
        raise UsageError(
            f"--kernel native: it is not built here; {HOW_TO_BUILD}, or pass --kernel portable"
        )
    return "native" if is_built and wanted != "portable" else "portable"


def kernel_of(recorded: object) -> Kernel:
    """Return which kernel a record names; one without a record is older than the native kernel."""
    return "native" if str(recorded).startswith("native") else "portable"
