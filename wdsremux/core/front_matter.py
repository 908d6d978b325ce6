"""The YAML front matter of a README.md: where dataset cards keep their metadata.

Format: https://huggingface.co/docs/hub/datasets-cards. What is read may come from anyone, so that
its aliases are bounded: aliases of aliases can expand to more values than fit into memory.
"""

import re
from collections.abc import Mapping
from typing import Any

MAX_VALUES = 1 << 23
"""Of one front matter, each alias counted as what it repeats."""

# The rule of huggingface_hub (2.4, repocard.py): an opening and a closing line of three dashes.
_BLOCK = re.compile(rb"\s*---[\r\n]+(.*?)[\r\n]+---(?:\r\n|\n|$)", re.DOTALL)


def front_matter(card: bytes) -> Mapping[str, Any] | None:
    """Return the front matter of a README.md; None without one, or for YAML that is not a mapping.

    Raises ValueError for YAML that is invalid, or that expands to too many values.
    """
    import yaml  # noqa: PLC0415 (a third of a second that most commands do not need)

    found = _BLOCK.match(card)
    if found is None:
        return None
    try:
        loader = yaml.SafeLoader(found[1])
        node = loader.get_single_node()
        if node is not None and _values_in(node, {}) > MAX_VALUES:
            raise ValueError(f"its aliases expand to more than {MAX_VALUES} values")
        value = None if node is None else loader.construct_document(node)
    except (yaml.YAMLError, RecursionError) as exc:
        raise ValueError(str(exc)) from exc
    return value if isinstance(value, dict) else None


def front_matter_bytes(value: Mapping[str, Any]) -> bytes:
    """Return a front matter with its lines of dashes, the same bytes for the same content."""
    import yaml  # noqa: PLC0415 (as above)

    class Dumper(yaml.SafeDumper):  # type: ignore[misc]  # PyYAML ships no types
        """Writes line breaks of every kind as escapes: unquoted, U+0085 is read as a space."""

        def represent_string(self, text: str) -> Any:
            style = None if text.isprintable() else '"'
            return self.represent_scalar("tag:yaml.org,2002:str", text, style)

    Dumper.add_representer(str, Dumper.represent_string)
    dumped: str = yaml.dump(value, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=100)
    # Lone surrogates, of file names that are not Unicode, are escaped already.
    return f"---\n{dumped}---\n".encode("utf-8", "replace")


def _values_in(node: Any, known: dict[int, int]) -> int:
    """Return how many values a YAML node expands to."""
    if isinstance(node.value, str):
        return 1
    if id(node) in known:
        return known[id(node)]
    known[id(node)] = MAX_VALUES + 1  # while it is being counted: it may contain itself
    children = (
        child for item in node.value for child in (item if isinstance(item, tuple) else (item,))
    )
    known[id(node)] = 1 + sum(_values_in(child, known) for child in children)
    return known[id(node)]
