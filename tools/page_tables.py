"""Writes the tables of the help pages from the code: options, steps, exit codes, findings.

python tools/page_tables.py          rewrite the pages
python tools/page_tables.py --check  exit 1 when one is out of date
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

PAGES = Path(__file__).parent.parent / "wdsremux" / "cli" / "pages"


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
    """Return a page with every marked table made from the code."""
    for name, make in TABLES.items():
        mark = re.compile(rf"(<!-- table: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        if mark.search(text):
            made = make()
            text = mark.sub(lambda match, made=made: f"{match[1]}{made}\n{match[2]}", text)
    return text


def main() -> None:
    """Rewrite or check the pages."""
    pages = sorted(PAGES.glob("*.md"))
    missing = [name for name in TABLES if not any(mark(name, page) for page in pages)]
    if missing:
        raise SystemExit(f"no page has a place for the tables {', '.join(missing)}")
    for page in pages:
        old = page.read_text()
        new = filled(old)
        if "--check" in sys.argv[1:] and old != new:
            raise SystemExit(f"{page.name} is out of date: run python tools/page_tables.py")
        page.write_text(new)


def mark(name: str, page: Path) -> bool:
    """Return whether a page has a place for a table."""
    return f"<!-- table: {name} -->" in page.read_text()


if __name__ == "__main__":
    main()
