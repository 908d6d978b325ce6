"""Messages, help and pages use the plain terms of the field: a deny list keeps quaint ones out.

Checked are all strings of the package that are not docstrings, the docstrings below option fields
(they are the help of the command line), the help pages, the README and the CHANGELOG.
"""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

DENIED = {
    r"\b(?:is|are|was) no (?!longer|more)\b": "is not a …",
    r"\bwhoever\b": "name the actor",
    r"\bnobody\b": "name the actor",
    r"\bmend(?:s|ed|ing)?\b": "repair, fix",
    r"\banew\b": "again, from scratch",
    r"\b(?:go|goes|going|went) on\b": "resume, continue",
    r"\b(?:stands?|stood|standing)\b(?! for\b)": "is, is stored",
    r"\b(?:lies|lay|lying)\b": "is, is stored",
    r"\b(?:tells?|telling|told)\b": "report, show, say, record",
    r"\b(?:carry|carries|carried|carrying)\b": "copy, upload",
    r"(?<!--with-)\btexts?\b(?! file)": "string",
    r"\bso (?:many|much|long)\b": "name the quantity; up to N",
    r"\bbring\b": "download, copy",
    r"\b(?:give|gives|given) (?!up\b|a clear)": "pass",
    r"\bheeds?\b|\bheeded\b": "follow, respect",
    r"\bhands? (?:over|out)\b": "pass, return",
    r"\bbeing worked on\b": "in progress",
    r"\bwords\b": "arguments, string",
    r"\bwishes?\b": "options",
    r"\bto blame\b": "at fault",
}
ALLOWED = {
    # (file below the root, the phrase): why
    ("wdsremux/sources/tars/survey.py", "text"): "a kind of member",
    ("wdsremux/dataset/indexes/energon.py", "TEXT"): "a type of SQL",
    ("wdsremux/stores/s3/sending.py", "text"): "a media type",
    ("wdsremux/transforms/codecs/png_chunks.py", "text"): "a kind of PNG chunk",
    ("wdsremux/dataset/sheets/charts.py", "text"): "an element of SVG",
    ("wdsremux/dataset/sheets/html.py", "text"): "an element of SVG, a property of CSS",
    ("wdsremux/transforms/base.py", "words"): "numbers of 64 bits",
}


def strings_of(path):
    """Yield (line, string) for every string that a user may read."""
    tree = ast.parse(path.read_text())
    docs = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                docs.add(first.value)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docs:
            yield node.lineno, node.value


def denied(text):
    """Return (phrase, what to write instead) for each denied phrase of a text."""
    flat = " ".join(text.split())
    return [
        (found[0], instead)
        for pattern, instead in DENIED.items()
        for found in re.finditer(pattern, flat, re.IGNORECASE)
    ]


PACKAGES = sorted(
    p.name for p in (ROOT / "wdsremux").iterdir() if p.is_dir() and p.name != "__pycache__"
)


@pytest.mark.parametrize("package", PACKAGES)
def test_messages_and_help_use_plain_terms(package):
    found = [
        f"{path.relative_to(ROOT)}:{line}: {phrase!r}: write {instead}"
        for path in sorted((ROOT / "wdsremux" / package).rglob("*.py"))
        for line, text in strings_of(path)
        for phrase, instead in denied(text)
        if " " in text.strip() and (str(path.relative_to(ROOT)), phrase) not in ALLOWED
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "page",
    [*(ROOT / "wdsremux").rglob("*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md"],
    ids=lambda p: p.name,
)
def test_pages_use_plain_terms(page):
    found = [
        f"{page.name}:{number}: {phrase!r}: write {instead}"
        for number, line in enumerate(page.read_text().splitlines(), 1)
        for phrase, instead in denied(line)
        if (str(page.relative_to(ROOT)), phrase) not in ALLOWED
    ]
    assert not found, "\n".join(found)
