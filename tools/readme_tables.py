"""Writes the README's tables from the code: options, steps, exit codes, findings.

python tools/readme_tables.py          rewrite README.md
python tools/readme_tables.py --check  exit 1 when it is out of date
"""

import re
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from wdsremux.cli.flags import default_text, field_docs, flag_of
from wdsremux.core.errors import EXIT_CODES
from wdsremux.core.recipe import Recipe, Run
from wdsremux.syncing.options import SyncOptions
from wdsremux.transforms.steps.catalogue import catalogue
from wdsremux.verifying.findings import catalogue_markdown

README = Path(__file__).parent.parent / "README.md"


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    safe = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in safe)


def options_table(kind: type[Recipe] | type[Run] | type[SyncOptions]) -> str:
    """Return the options of one kind."""
    docs = field_docs(sys.modules[kind.__module__])
    rows = []
    for field in fields(kind):
        meta = field.metadata
        value = meta["metavar"] or "|".join(meta["choices"])
        flag = f"`{flag_of(field)}{' ' + value if value else ''}`"
        rows.append((flag, default_text(field) or "", docs[field.name]))
    return table(("option", "default", "meaning"), rows)


def steps_table() -> str:
    """Return the built-in steps."""
    return table(("step", "meaning"), [(f"`{usage}`", text) for usage, text in catalogue()])


def codes_table() -> str:
    """Return the exit codes."""
    return table(("code", "meaning"), [(str(code), text) for code, text in EXIT_CODES.items()])


TABLES: dict[str, Callable[[], str]] = {
    "recipe": lambda: options_table(Recipe),
    "run": lambda: options_table(Run),
    "sync": lambda: options_table(SyncOptions),
    "steps": steps_table,
    "codes": codes_table,
    "findings": catalogue_markdown,
}


def filled(text: str) -> str:
    """Return the README with every marked table made anew."""
    for name, make in TABLES.items():
        mark = re.compile(rf"(<!-- table: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        if not mark.search(text):
            raise SystemExit(f"README.md has no place for the table {name!r}")
        made = make()
        text = mark.sub(lambda match, made=made: f"{match[1]}{made}\n{match[2]}", text)
    return text


def main() -> None:
    """Rewrite or check the README."""
    old = README.read_text()
    new = filled(old)
    if "--check" in sys.argv[1:]:
        sys.exit(0 if old == new else "README.md is out of date: run python tools/readme_tables.py")
    README.write_text(new)


if __name__ == "__main__":
    main()
