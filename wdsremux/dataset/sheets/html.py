"""Pages of HTML in one file: no script, no network, light and dark.

Everything that comes from data goes through `escape`, so that it is shown and never interpreted.
"""

import base64
import html
from collections.abc import Sequence

from wdsremux.core.escaping import escaped
from wdsremux.transforms.codecs.codec import sniff

# Blue and orange differ for people who cannot distinguish red from green.
_STYLE = """
:root { color-scheme: light dark; --back: #fbfbfa; --card: #ffffff; --text: #1d1f21;
  --faint: #5c6166; --line: #dcdfe3; --bar: #2f6db3; --other: #c05a00; }
@media (prefers-color-scheme: dark) { :root { --back: #16181b; --card: #1f2226; --text: #e8e9ea;
  --faint: #a2a8ae; --line: #363b41; --bar: #6ea8e8; --other: #f0a050; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1280px; padding: 24px 16px; background: var(--back);
  color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 22px; line-height: 1.3; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 17px; margin: 32px 0 8px; }
p { margin: 0 0 4px; overflow-wrap: anywhere; }
.faint, figcaption, th { color: var(--faint); }
.cards { display: grid; gap: 16px; margin-top: 20px;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, var(--card-width, 600px)), 1fr)); }
.charts { display: grid; gap: 0 32px; align-items: start;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 480px), 1fr)); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 12px;
  min-width: 0; }
.card h3 { font-size: 14px; margin: 0 0 8px; display: flex; gap: 8px; flex-wrap: wrap;
  overflow-wrap: anywhere; }
.label { font-weight: 400; padding: 0 8px; border: 1px solid var(--line); border-radius: 10px; }
.images { display: flex; flex-wrap: wrap; gap: 12px; align-items: flex-start; }
figure { margin: 0; flex: 0 1 168px; min-width: 120px; }
figure img { display: block; width: 100%; height: auto; border-radius: 4px;
  background: var(--line); }
figcaption { font-size: 12px; line-height: 1.4; margin-top: 4px; overflow-wrap: anywhere; }
.problem { color: var(--other); margin: 4px 0 0; }
table { border-collapse: collapse; width: 100%; background: var(--card); }
th, td { text-align: left; vertical-align: top; font-weight: 400; padding: 6px 10px;
  border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums;
  white-space: nowrap; }
.scroll { overflow-x: auto; }
svg { display: block; max-width: 100%; height: auto; }
svg text { fill: var(--text); font: 12px system-ui, sans-serif; }
svg .faint { fill: var(--faint); }
svg .bar { fill: var(--bar); }
svg .axis { stroke: var(--line); }
svg .curve { fill: none; stroke: var(--bar); stroke-width: 2; }
"""


def page(title: str, body: str) -> str:
    """Return a whole page; `body` is HTML."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def heading(title: str, facts: tuple[str, ...]) -> str:
    """Return the title of a page and the lines below it."""
    lines = "".join(f'<p class="faint">{escape(fact)}</p>\n' for fact in facts)
    return f"<header>\n<h1>{escape(title)}</h1>\n{lines}</header>"


def table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, numbers: int = 0) -> str:
    """Return a table whose last `numbers` columns are right-aligned numbers."""
    first = len(columns) - numbers

    def cells(tag: str, texts: tuple[str, ...]) -> str:
        return "".join(
            f"<{tag}{' class=number' if at >= first else ''}>{escape(text)}</{tag}>"
            for at, text in enumerate(texts)
        )

    lines = "\n".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    head = f"<thead><tr>{cells('th', columns)}</tr></thead>"
    return f'<div class="scroll"><table>{head}\n<tbody>\n{lines}\n</tbody></table></div>'


def data_url(image: bytes) -> str:
    """Return an image as part of a page."""
    kind = sniff(image) or "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(image).decode()}"


def escape(text: str) -> str:
    """Return a string as HTML that shows it; control characters are shown escaped."""
    return html.escape(escaped(text))
