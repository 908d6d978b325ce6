"""Messages, help and pages use the plain terms of the field: a deny list keeps quaint ones out.

Checked are all strings, docstrings and comments of the package, the help pages, the README, the
CHANGELOG, and the names of tests.
"""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

DENIED = {
    r"(?<!\bthere )\b(?:is|are|was) no\b(?! longer| more)": "is not a ...",
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
    r"\u2026": '"..."',
    r"\bsomebody\b": "name the actor",
    r"\bof (?:others|ours)\b": "of other tools, of wdsremux",
}
IN_NAMES = re.compile(
    r"_(?:whoever|nobod(?:y|ys)|somebody|anew|told|tells?|telling|stands?|standing|lies|lying"
    r"|mend(?:s|ed|ing)?|carr(?:y|ies|ied)|go(?:es)?_on|going_on|so_(?:many|much|long)|heeds?"
    r"|words|texts?|(?<!there_)(?:is|are)_no|(?:is|are)_none_(?:of|to))(?=_|$)"
)
"""Quaint words in the names of tests."""
ALLOWED = {
    # (file below the root, the phrase): why
    ("wdsremux/sources/tars/survey.py", "text"): "a kind of member",
    ("wdsremux/dataset/indexes/energon.py", "TEXT"): "a type of SQL",
    ("wdsremux/stores/s3/sending.py", "text"): "a media type",
    ("wdsremux/transforms/codecs/png_chunks.py", "text"): "a kind of PNG chunk",
    ("wdsremux/transforms/base.py", "words"): "numbers of 64 bits",
    ("wdsremux/stores/loader_forms.py", "given "): "an option of another tool",
    ("wdsremux/dataset/sheets/charts.py", "text"): "an element of SVG",
    ("wdsremux/dataset/sheets/html.py", "text"): "an element of SVG, and CSS",
    ("wdsremux/transforms/steps/drawn.py", "text"): "the opposite of an image",
}


def strings_of(path):
    """Yield (line, string) for every string with a space, docstring and comment of a file."""
    source = path.read_text()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, node.value
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


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
def test_messages_docstrings_and_comments_use_plain_terms(package):
    found = [
        f"{path.relative_to(ROOT)}:{line}: {phrase!r}: write {instead}"
        for path in sorted((ROOT / "wdsremux" / package).rglob("*.py"))
        for line, text in strings_of(path)
        for phrase, instead in denied(text)
        if (str(path.relative_to(ROOT)), phrase) not in ALLOWED
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


def test_names_of_tests_are_plain_sentences():
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for name in re.findall(r"def (test_\w+)", path.read_text())
        if IN_NAMES.search(name)
    ]
    assert not found, "\n".join(found)
