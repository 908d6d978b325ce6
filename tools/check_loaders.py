"""Reads an output with the heavy loaders, by the indexes that `wdsremux index --index` wrote.

python tools/check_loaders.py OUT        in an environment with megatron-energon and nvidia-dali

Prints a line for each loader, and ends with an error where one reads other samples than the tars
hold. `make test-loaders` makes the environment and the output.
"""

import argparse
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

BATCH = 64
"""Batch size of the snippets."""


def stored(out: Path) -> dict[str, bytes]:
    """Return the images by key, as the tars hold them."""
    found = {}
    for path in sorted(out.glob("*.tar")):
        with tarfile.open(path) as tar:
            for one in tar:
                file = tar.extractfile(one)
                if file is not None and one.name.endswith(".jpg"):
                    found[one.name.removesuffix(".jpg")] = file.read()
    return found


def energon(out: Path, expected: dict[str, bytes]) -> bool:
    """Return whether Megatron-Energon decodes every sample of an epoch once."""
    from megatron.energon import WorkerConfig, get_loader, get_train_dataset

    dataset = get_train_dataset(
        str(out),
        worker_config=WorkerConfig(rank=0, world_size=1, num_workers=0),
        batch_size=None,
        shuffle_buffer_size=None,
        max_samples_per_sequence=None,
        repeat=False,
    )
    return sorted(sample.__key__ for sample in get_loader(dataset)) == sorted(expected)


def dali(out: Path, expected: dict[str, bytes]) -> bool:
    """Return whether DALI reads the bytes of every image, in the order of the tars."""
    from nvidia.dali import fn, pipeline_def

    tars = sorted(str(path) for path in out.glob("*.tar"))

    @pipeline_def(batch_size=1, num_threads=1, device_id=None)  # type: ignore[untyped-decorator]
    def images() -> object:
        return fn.readers.webdataset(
            paths=tars,
            index_paths=[path.replace(".tar", ".idx") for path in tars],
            ext=["jpg"],
            missing_component_behavior="error",
        )

    pipe = images()
    pipe.build()
    samples = next(iter(pipe.reader_meta().values()))["epoch_size"]
    return [bytes(pipe.run()[0].at(0)) for _ in range(samples)] == list(expected.values())


def snippets(out: Path, expected: dict[str, bytes]) -> bool:
    """Return whether the code that `show --snippet` prints for heavy loaders runs and reads all."""
    for kind, counted, least in (
        ("dali", "len(labels)", len(expected) // BATCH * BATCH),
        ("jax", "len(labels)", len(expected)),
        ("energon", "label is not None", len(expected)),
    ):
        show = [sys.executable, "-m", "wdsremux", "show", str(out), "--snippet", kind]
        code = subprocess.run(show, check=True, capture_output=True, text=True).stdout.rstrip()
        # A module of its own: workers of a loader may import it.
        code = f"seen = 0\n{code}\n    seen += {counted}\nprint(seen)"
        ran = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE)
        if int(ran.stdout) != least:
            print(f"--snippet {kind} reads {int(ran.stdout)} samples, not {least}")
            return False
    return True


LOADERS: dict[str, Callable[[Path, dict[str, bytes]], bool]] = {
    "energon": energon,
    "dali": dali,
    "snippets": snippets,
}


def main() -> None:
    """Read with all loaders."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    expected = stored(out)
    for name, reads_all in LOADERS.items():
        if not reads_all(out, expected):
            raise SystemExit(f"{name} does not read the {len(expected)} samples of the tars")
        print(f"{name}: {len(expected)} samples")


if __name__ == "__main__":
    main()
