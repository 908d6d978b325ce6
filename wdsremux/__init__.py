"""Stream an image dataset through preprocessing once and pack it into WebDataset shards.

The public face. Names are imported when they are first used: `import wdsremux` alone loads nothing
heavy.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wdsremux.api import convert as convert
    from wdsremux.api_repair import repair as repair
    from wdsremux.dataset.loading.collating import collate as collate
    from wdsremux.dataset.loading.pipeline import pipeline as pipeline
    from wdsremux.dataset.loading.split import LoadedSplit as LoadedSplit
    from wdsremux.dataset.loading.split import load as load
    from wdsremux.dataset.loading.urls import urls as urls
    from wdsremux.errors import RejectSample as RejectSample
    from wdsremux.errors import WdsremuxError as WdsremuxError
    from wdsremux.indexing import index as index
    from wdsremux.manifest import Manifest as Manifest
    from wdsremux.recipe import Recipe as Recipe
    from wdsremux.recipe import Run as Run
    from wdsremux.reports import RepairReport as RepairReport
    from wdsremux.reports import Report as Report
    from wdsremux.shards.writer import ShardWriter as ShardWriter
    from wdsremux.syncing import sync as sync
    from wdsremux.syncs.report import SyncReport as SyncReport
    from wdsremux.verifying import verify as verify

_HOMES = {
    "convert": "wdsremux.api",
    "repair": "wdsremux.api_repair",
    "RejectSample": "wdsremux.errors",
    "WdsremuxError": "wdsremux.errors",
    "index": "wdsremux.indexing",
    "collate": "wdsremux.dataset.loading.collating",
    "pipeline": "wdsremux.dataset.loading.pipeline",
    "LoadedSplit": "wdsremux.dataset.loading.split",
    "load": "wdsremux.dataset.loading.split",
    "urls": "wdsremux.dataset.loading.urls",
    "Manifest": "wdsremux.manifest",
    "Recipe": "wdsremux.recipe",
    "Run": "wdsremux.recipe",
    "RepairReport": "wdsremux.reports",
    "Report": "wdsremux.reports",
    "ShardWriter": "wdsremux.shards.writer",
    "sync": "wdsremux.syncing",
    "SyncReport": "wdsremux.syncs.report",
    "verify": "wdsremux.verifying",
}

__all__ = [
    "LoadedSplit",
    "Manifest",
    "Recipe",
    "RejectSample",
    "RepairReport",
    "Report",
    "Run",
    "ShardWriter",
    "SyncReport",
    "WdsremuxError",
    "collate",
    "convert",
    "index",
    "load",
    "pipeline",
    "repair",
    "sync",
    "urls",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from importlib import import_module  # noqa: PLC0415 (the point of this function)

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
