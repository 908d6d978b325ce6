"""Makes a Markdown report and a chart of benchmark results, for the README.md beside this file.

python tools/bench/report.py RESULTS.json [--chart FILE.png] [--readme]

The README has the place: between <!-- bench --> and <!-- bench end -->.
"""

import argparse
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

README = Path(__file__).parent / "README.md"
PLACE = re.compile(r"(<!-- bench -->\n).*?(<!-- bench end -->)", re.DOTALL)
LIMIT = "limit"
WIDTH, BAR, GAP, TITLES, FONT = 1000, 26, 14, 400, 18
INK, OURS, THEIRS, BOUND = "#222222", "#2f6f4f", "#9aa5b1", "#d9a441"

Json = Mapping[str, Any]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def ranked(race: Json) -> list[Json]:
    """Return what was measured, the fastest first."""
    found = [entry for entry in race["results"] if entry["status"] == "measured"]
    return sorted(found, key=lambda entry: float(entry["wall_s"]["median"]))


def race_lines(race: Json) -> list[str]:
    """Return the table of one race."""
    found, base = ranked(race), race["base"]
    titles = {entry["name"]: entry["title"] for entry in found}
    rates = {entry["name"]: entry["images_per_s"]["median"] for entry in found}
    rows = []
    for entry in found:
        wall, rate = entry["wall_s"], entry["images_per_s"]["median"]
        rows.append(
            (
                entry["title"],
                f"{wall['median']:.2f} ({wall['min']:.2f} to {wall['max']:.2f})",
                f"{rate:.0f}",
                f"{entry['cpu_s_per_1000']['median']:.2f}",
                f"{entry['peak_pss_mb']['median']:.0f}",
                f"{entry['output_mb']:.0f}",
                f"{rate / rates[base]:.2f}" if base in rates else "",
                f"{rate / rates[LIMIT]:.0%}" if LIMIT in rates else "",
            )
        )
    about = race["dataset"]
    lines = [
        (
            f"**{race['title']}**: {race['images']} images, mean {about.get('mean_kb', '?')} kB, "
            f"{about.get('mean_megapixels', '?')} megapixels, {about.get('bits_per_pixel', '?')} "
            f"bits a pixel, from {about.get('photos', '?')} photos."
        ),
        "",
    ]
    head = (
        "pipeline", "s, median (min to max)", "images/s", "CPU s / 1000", "peak MB", "output MB",
        f"x {titles.get(base, base)}", "of the limit",
    )  # fmt: skip
    lines += table(head, rows)
    absent = [e for e in race["results"] if e["status"] != "measured"]
    lines += [""] + [f"{e['title']}: {e['status']}." for e in absent]
    return [*lines, ""] if absent else lines


def case_lines(cases: Sequence[Json]) -> list[str]:
    """Return the table of single claims."""
    rows = [
        (case["title"], f"{case['value']:.3g}", case["wanted"], _figures(case)) for case in cases
    ]
    return [*table(("what", "measured", "wanted", "medians"), rows), ""]


def _figures(case: Json) -> str:
    parts = [f"{name} {each['median']:.4g}" for name, each in case["figures"].items()]
    return "; ".join([*parts, case["note"]] if case["note"] else parts)


def report(results: Json, chart: str | None) -> str:
    """Return the whole report."""
    machine = results["machine"]
    where = (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']:.0f} GB, "
        f"{machine['system']}, Python {machine['python']}"
    )
    found = {**results["versions"]["heavy peers"], **results["versions"]["here"]}
    versions = ", ".join(f"{name} {version}" for name, version in sorted(found.items()))
    how = (
        f"Measured with `{results['command']}`, {results['workers']} workers, {results['rounds']} "
        f"interleaved rounds, on {where}, commit {results['commit'][:12]}."
    )
    lines = [how, f"Versions: {versions}.", ""]
    if chart:
        lines += [f"![images per second]({chart})", ""]
    for race in results["races"]:
        lines += race_lines(race)
    if results["cases"]:
        lines += case_lines(results["cases"])
    return "\n".join(lines).rstrip() + "\n"


def draw(race: Json, path: Path) -> None:
    """Draw one race as bars of images/s."""
    found = ranked(race)
    font = ImageFont.load_default(FONT)
    image = Image.new("RGB", (WIDTH, len(found) * (BAR + GAP) + 3 * GAP + FONT), "white")
    pen = ImageDraw.Draw(image)
    title = f"images/s, founding augmentation at 256 x 256, {race['kind']}, the same cores"
    pen.text((GAP, GAP), title, INK, font)
    most = max((entry["images_per_s"]["median"] for entry in found), default=1.0)
    for i, entry in enumerate(found):
        top = 2 * GAP + FONT + i * (BAR + GAP)
        rate = entry["images_per_s"]["median"]
        name = entry["name"]
        colour = BOUND if name == LIMIT else OURS if name.startswith("wdsremux") else THEIRS
        right = TITLES + (WIDTH - TITLES - 6 * GAP) * rate / most
        arguments = entry["title"].split(" (")[0]
        pen.text((TITLES - GAP, top + BAR // 2), arguments, INK, font, anchor="rm")
        pen.rectangle((TITLES, top, right, top + BAR), colour)
        pen.text((right + GAP // 2, top + BAR // 2), f"{rate:.0f}", INK, font, anchor="lm")
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, optimize=True)


def put_into_readme(text: str, readme: Path) -> None:
    """Replace the report in a README."""
    old = readme.read_text()
    if not PLACE.search(old):
        raise SystemExit(f"{readme} has no place: put <!-- bench --> and <!-- bench end -->")
    readme.write_text(PLACE.sub(lambda match: f"{match[1]}{text}{match[2]}", old))


def main() -> None:
    """Report."""
    parser = argparse.ArgumentParser(description="report benchmark results")
    parser.add_argument("results", type=Path)
    parser.add_argument("--chart", type=Path, help="PNG file to be drawn")
    parser.add_argument(
        "--readme", nargs="?", type=Path, const=README, help="put it into tools/bench/README.md"
    )
    given = parser.parse_args()
    results = json.loads(given.results.read_text())
    chart = None
    if given.chart and results["races"]:
        draw(results["races"][0], given.chart)
        beside = (given.readme or given.results).absolute().parent
        chart = os.path.relpath(given.chart.absolute(), beside)
    text = report(results, chart)
    if given.readme:
        put_into_readme(text, given.readme)
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
