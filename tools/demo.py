"""Runs `make demo`: convert the embedded dataset, verify it, read it back with webdataset."""

import shutil
import subprocess
import sys
from pathlib import Path

OUT = Path("out/demo")
STEPS = ("center-crop-scale=0.7,1.0", "resize=256x256", "hflip", "sharpen")


def main() -> None:
    """Run the demo; any failure ends it with that failure's exit code."""
    shutil.rmtree(OUT, ignore_errors=True)
    steps = [word for step in STEPS for word in ("--step", step)]
    run("convert", "demo:", str(OUT), "--split", "all", "--max-shard-size", "2MB", *steps)
    run("verify", str(OUT), "--depth", "pixels")
    read_back()
    print(
        "\nNow your own data, by dataset ID, with your own function:\n"
        "  . .venv/bin/activate\n"
        "  wdsremux convert user/dataset out/dataset --transform augment.py:augment\n"
        "  wdsremux help function"
    )


def run(*arguments: str) -> None:
    """Show a command and run it."""
    print(f"\n$ wdsremux {' '.join(arguments)}", flush=True)
    code = subprocess.run([sys.executable, "-m", "wdsremux", *arguments], check=False).returncode
    if code:
        sys.exit(code)


def read_back() -> None:
    """Read every sample of both splits as a training loop would."""
    import webdataset as wds

    for split in ("train", "validation"):
        shards = sorted(str(path) for path in OUT.glob(f"{split}-*.tar"))
        dataset = wds.WebDataset(shards, shardshuffle=False).decode("pil").to_tuple("jpg", "json")
        sizes, labels, samples = set(), set(), 0
        for image, entry in dataset:
            sizes.add(image.size)
            labels.add(entry["label_name"])
            samples += 1
        print(
            f"webdataset reads {split}: {samples} samples, sizes {sizes}, labels {sorted(labels)}"
        )


if __name__ == "__main__":
    main()
