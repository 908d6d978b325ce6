"""How the heads of two conversions differ, and what the user can do about it."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from wdsremux.core.errors import RecipeMismatchError
from wdsremux.core.head import DECIDING_FIELDS, SHARD_ROWS, Head
from wdsremux.core.option_values import listed, shortened
from wdsremux.core.recipe import Recipe

File = Mapping[str, Any]


def first_difference(old: Any, new: Any, where: str = "") -> tuple[str, str, str] | None:
    """Return (path, old value, new value) of the first difference of two JSON values."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in [*old, *(key for key in new if key not in old)]:
            found = first_difference(
                old.get(name), new.get(name), f"{where}.{name}" if where else name
            )
            if found is not None:
                return found
        return None
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for i, (one, other) in enumerate(zip(old, new, strict=True)):
            found = first_difference(one, other, f"{where}[{_item_name(one, i)}]")
            if found is not None:
                return found
        return None
    return None if old == new else (where, _short(old), _short(new))


def refuse_difference(old: Head, new: Head, *, is_finished: bool = False) -> None:
    """Raise RecipeMismatchError naming the first field that decides bytes and has changed."""
    # A source of another kind has other columns: they are not options that the user changed.
    replacement = source_replacement(old, new)
    differences = (
        head_difference(old, new, name, is_finished=is_finished) for name in DECIDING_FIELDS
    )
    for difference in (replacement, *differences):
        if difference is not None:
            raise RecipeMismatchError(
                f"{difference}, pass another OUT, or pass --overwrite to start from scratch"
            )


def option_at(where: str) -> str:
    """Return "--step number 1" for the path recipe.steps[0]; the path if it is not of an option."""
    found = re.fullmatch(r"recipe\.(\w+)(?:\[(\d+)\])?", where)
    repeated = {field.name: field.metadata["repeat"] for field in fields(Recipe)}
    if found is None or found[1] not in repeated:
        return where
    name, index = found.groups()
    number = f" number {int(index) + 1}" if repeated[name] and index else ""
    return "--" + (repeated[name] or name).replace("_", "-") + number


def source_replacement(old: Head, new: Head) -> str | None:
    """Say that the source is another one and not a changed one; None when it is the same."""
    for field in ("kind", "repo"):
        was, now = old.source.get(field), new.source.get(field)
        if was != now:
            return (
                f"the output was started from another source: source.{field} was {_short(was)}, "
                f"now it is {_short(now)}; pass the old source to resume"
            )
    return None


def head_difference(old: Head, new: Head, field: str, *, is_finished: bool = False) -> str | None:
    """Say how a stored field of two heads differs, and how to resume; None when it is equal.

    `is_finished` says that the old output has all its shards.
    """
    # Through JSON: a head made in this process may hold tuples.
    was, now = (json.loads(json.dumps(head.to_json()[field])) for head in (old, new))
    if field == "source":
        return _source_difference(was, now)
    difference = first_difference(was, now, field)
    if difference is None:
        return None
    where, one, other = difference
    if where.startswith("recipe.transform.") and where != "recipe.transform.name":
        return _function_difference(old, new, is_finished=is_finished)
    if where.startswith("recipe.eval_transform."):
        return (
            "the output was started with another recipe: the function of --eval-transform has "
            "changed since; restore it to resume"
        )
    if where.startswith(f"recipe.{SHARD_ROWS}"):
        return (
            "the output was started without --max-shard-size and --max-shard-samples; leave them "
            "out to resume"
        )
    remedy = "pass the old value"
    if where == "versions.kernel":
        remedy = _remedy_for_kernel(one, other)
    elif where.startswith("versions."):
        remedy = "install the old version"
    return (
        f"the output was started with another recipe: {option_at(where)} was {one}, "
        f"now it is {other}; {remedy} to resume"
    )


def _remedy_for_kernel(was: str, now: str) -> str:
    """Say how to get the kernel that an output was started with; both are quoted."""
    if was.startswith('"native') and now.startswith('"native'):
        return "install the old versions of wdsremux and libjpeg-turbo"
    if was.startswith('"native'):
        return "pass --kernel native (wdsremux doctor shows how to build it)"
    return "pass --kernel portable"


def _function_difference(old: Head, new: Head, *, is_finished: bool) -> str:
    """Say that the function has changed: by its file, or by the modules it imports."""
    was, now = (head.options["transform"] for head in (old, new))
    modules, name = changed_modules(was, now), now["name"]
    file = str(new.origin.get("transform") or "").rpartition(":")[0]
    if was["sha256"] == now["sha256"]:
        what = f"{', '.join(map(repr, modules))}, which your function {name!r} imports,"
    elif file:
        what = f"{file!r}, the file of your function {name!r},"
    else:
        what = f"your function {name!r}"
    accept = (
        ""
        if is_finished
        else ", pass --accept-function-change to keep the finished shards and continue with the "
        "new function"
    )
    return (
        f"the output was started with another recipe: {what} has changed since; restore it to "
        f"resume{accept}"
    )


def changed_modules(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the names of the modules that differ between two fingerprints of functions."""
    before, after = was.get("modules") or {}, now.get("modules") or {}
    return [n for n in sorted({*before, *after}) if before.get(n) != after.get(n)]


def _source_difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
    """Say how a source has changed: by the first file that did, where it lists its files."""
    difference = first_difference(old, new, "source")
    if difference is None:
        return None
    where, was, now = difference
    remedy = "restore the source to resume"
    change = f"{where} was {was}, now it is {now}"
    if old.get("kind") == new.get("kind"):
        commits = f"commit was {old.get('commit')}, now it is {new.get('commit')}"
        if old.get("commit") != new.get("commit"):
            change, remedy = commits, f"pass --revision {old.get('commit')} to resume"
        file = _file_difference(_files_of(old), _files_of(new))
        if file is not None:
            change = file if where != "source.commit" else f"{file} ({commits})"
        if added_files(old, new):
            remedy += ", or pass --extend to add shards for the new rows"
    return f"the source has changed: {change}; {remedy}"


def added_files(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[File]:
    """Return the files that were appended to a source, where all others are unchanged.

    Empty when anything else has changed, when a file was inserted between the old ones, and when
    nothing proves that the old ones are the same. Files of another commit of a Hub dataset are
    compared by the hashes that Git has of them, whatever their names.
    """
    files, is_pinned = _files_of(old), "commit" in old
    heads = [{**source, "files": None, "commit": None} for source in (old, new)]
    if heads[0] != heads[1] or (is_pinned and not all("oid" in file for file in files)):
        return []
    added: list[File] = []
    for split in dict.fromkeys(file.get("split") for file in [*files, *_files_of(new)]):
        before = [file for file in files if file.get("split") == split]
        after = [file for file in _files_of(new) if file.get("split") == split]
        for one, other in zip(before, after, strict=False):
            if _proof(one, is_pinned=is_pinned) != _proof(other, is_pinned=is_pinned):
                return []
        if len(after) < len(before):
            return []
        added += after[len(before) :]
    return added


def _proof(file: File, *, is_pinned: bool) -> File:
    return {**file, "name": None} if is_pinned else file


def _file_difference(old: Sequence[File], new: Sequence[File]) -> str | None:
    """Describe the first file that changed, is missing or is new."""
    there = {_key(file): file for file in new}
    for file in old:
        other = there.get(_key(file))
        if other is None:
            return f"file {file.get('name')!r} is missing"
        changes = [name for name in {**file, **other} if file.get(name) != other.get(name)]
        if changes:
            shown = (
                f"{name} was {file.get(name)}, now it is {other.get(name)}" for name in changes
            )
            return f"file {file.get('name')!r}: {', '.join(shown)}"
    before = {_key(file) for file in old}
    added = [file for file in new if _key(file) not in before]
    if added:
        names = listed([repr(file.get("name")) for file in added], 1)
        return f"file {names} {'is' if len(added) == 1 else 'are'} new"
    return None


def _files_of(source: Mapping[str, Any]) -> list[File]:
    files = source.get("files")
    return [file for file in files if isinstance(file, dict)] if isinstance(files, list) else []


def _key(file: File) -> tuple[Any, Any]:
    return file.get("split"), file.get("name")


def _item_name(item: Any, number: int) -> str:
    return str(item["name"]) if isinstance(item, dict) and "name" in item else str(number)


def _short(value: Any) -> str:
    return shortened(json.dumps(value, ensure_ascii=False), 120)
