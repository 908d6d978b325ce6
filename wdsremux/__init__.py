"""Stream an image dataset through preprocessing once and pack it into WebDataset shards.

The public names are imported when they are first used: `import wdsremux` loads nothing heavy.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wdsremux.converting.convert import convert as convert
    from wdsremux.core.errors import RejectSample as RejectSample
    from wdsremux.core.errors import WdsremuxError as WdsremuxError
    from wdsremux.core.events import Advanced as Advanced
    from wdsremux.core.events import Begun as Begun
    from wdsremux.core.events import Done as Done
    from wdsremux.core.events import Note as Note
    from wdsremux.core.events import Opened as Opened
    from wdsremux.core.events import ShardDone as ShardDone
    from wdsremux.core.heartbeat import Phase as Phase
    from wdsremux.core.manifest import Manifest as Manifest
    from wdsremux.core.recipe import Recipe as Recipe
    from wdsremux.core.recipe import Run as Run
    from wdsremux.dataset.loading.collating import collate as collate
    from wdsremux.dataset.loading.hugging_face import load_hf as load_hf
    from wdsremux.dataset.loading.pipeline import pipeline as pipeline
    from wdsremux.dataset.loading.split import LoadedSplit as LoadedSplit
    from wdsremux.dataset.loading.split import load as load
    from wdsremux.dataset.loading.urls import urls as urls
    from wdsremux.dataset.shards.writer import ShardWriter as ShardWriter
    from wdsremux.repairing.reopening import repair as repair
    from wdsremux.syncing.report import SyncReport as SyncReport
    from wdsremux.syncing.sync import sync as sync
    from wdsremux.verifying.index import index as index
    from wdsremux.verifying.reports import RepairReport as RepairReport
    from wdsremux.verifying.reports import Report as Report
    from wdsremux.verifying.verify import verify as verify

_HOMES = {
    "convert": "wdsremux.converting.convert",
    "finish": "wdsremux.converting.lanes",
    "repair": "wdsremux.repairing.reopening",
    "RejectSample": "wdsremux.core.errors",
    "WdsremuxError": "wdsremux.core.errors",
    "index": "wdsremux.verifying.index",
    "collate": "wdsremux.dataset.loading.collating",
    "pipeline": "wdsremux.dataset.loading.pipeline",
    "load_hf": "wdsremux.dataset.loading.hugging_face",
    "LoadedSplit": "wdsremux.dataset.loading.split",
    "load": "wdsremux.dataset.loading.split",
    "urls": "wdsremux.dataset.loading.urls",
    "Manifest": "wdsremux.core.manifest",
    "Recipe": "wdsremux.core.recipe",
    "Run": "wdsremux.core.recipe",
    "RepairReport": "wdsremux.verifying.reports",
    "Report": "wdsremux.verifying.reports",
    "ShardWriter": "wdsremux.dataset.shards.writer",
    "sync": "wdsremux.syncing.sync",
    "SyncReport": "wdsremux.syncing.report",
    "verify": "wdsremux.verifying.verify",
    "Advanced": "wdsremux.core.events",
    "Begun": "wdsremux.core.events",
    "Done": "wdsremux.core.events",
    "Note": "wdsremux.core.events",
    "Opened": "wdsremux.core.events",
    "Phase": "wdsremux.core.heartbeat",
    "ShardDone": "wdsremux.core.events",
}

__all__ = [
    "Advanced",
    "Begun",
    "Done",
    "LoadedSplit",
    "Manifest",
    "Note",
    "Opened",
    "Phase",
    "Recipe",
    "RejectSample",
    "RepairReport",
    "Report",
    "Run",
    "ShardDone",
    "ShardWriter",
    "SyncReport",
    "WdsremuxError",
    "collate",
    "convert",
    "finish",
    "index",
    "load",
    "load_hf",
    "pipeline",
    "repair",
    "sync",
    "urls",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 (it reads a file)

        return version("wdsremux")
    if name == "events":
        from wdsremux.core import events  # noqa: PLC0415 (the point of this function)

        return events
    if name in _HOMES:
        from importlib import import_module  # noqa: PLC0415 (the point of this function)

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
