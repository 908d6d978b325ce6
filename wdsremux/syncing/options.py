"""The options of a sync.

Short because the command line needs it for its flags, without the code that syncs.
"""

from dataclasses import dataclass

from wdsremux.core.option_values import number_from, seconds_from_text, size_from_text, switch_from
from wdsremux.core.recipe import Options, option


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncOptions(Options):
    """The options of `sync`; each is a flag of the command line."""

    delete: bool = option(False, switch_from)
    """at the end, remove dataset files at TO that FROM lacks; also replace another dataset"""
    checksum: bool = option(False, switch_from)
    """read files at TO that their store cannot verify, and files in folders, to find damage"""
    dry_run: bool = option(False, switch_from)
    """send nothing; print each file to send, its size and why, what would be removed, and totals"""
    move: bool = option(False, switch_from)
    """remove each shard of FROM, a folder, once its copy is verified; keep index and entries"""
    jobs: int = option(4, number_from(1, 64), metavar="N")
    """number of files to send at a time"""
    bandwidth: int | None = option(None, size_from_text, metavar="SIZE")
    """maximum bytes sent per second, all jobs together: 50MB"""
    give_up_after: float = option(600.0, seconds_from_text, metavar="SECONDS")
    """give up on a store that has not answered for this time; also 2m, 1h"""
