"""Imports a module that is slow to import when something of it is used.

Short because it is all of this: most runs use few of the libraries that the others need.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any


class LazyModule:
    """The module of this name, imported by the first use of one of its attributes.

    Type checkers see the module itself:

        if TYPE_CHECKING:
            import cv2
        else:
            cv2 = LazyModule("cv2")
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._waiting: list[Callable[[Any], None]] = []

    def when_imported(self, act: Callable[[Any], None]) -> None:
        """Call `act` with the module: now if it is imported already, else before its first use."""
        self._waiting.append(act)
        if self._name in sys.modules:
            self._module()

    def _module(self) -> Any:
        module = import_module(self._name)
        while self._waiting:
            try:
                act = self._waiting.pop()
            except IndexError:  # another thread has called it
                break
            act(module)
        return module

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self._module(), attribute)
