"""Packs the samples of a WebDataset folder as other loaders store them: encoded images, labels.

python loading_stores.py --src FOLDER     reads FOLDER/wds, writes FOLDER/litdata and FOLDER/mds
"""

import argparse
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHUNK_BYTES = 1 << 24
"""As large as the tars are."""


def samples(tar: str) -> Iterator[dict[str, Any]]:
    """Yield the samples of a tar."""
    image = b""
    with tarfile.open(tar) as members:
        for member in members:
            file = members.extractfile(member)
            content = file.read() if file is not None else b""
            if member.name.endswith(".jpg"):
                image = content
            else:
                yield {"image": image, "label": json.loads(content)["label"]}


def main() -> None:
    """Write both."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--src", type=Path, required=True)
    src = parser.parse_args().src
    from litdata import optimize
    from streaming import MDSWriter

    tars = sorted(str(path) for path in (src / "wds").glob("*.tar"))
    optimize(
        fn=samples,
        inputs=tars,
        output_dir=str(src / "litdata"),
        num_workers=1,
        chunk_bytes=CHUNK_BYTES,
    )
    columns = {"image": "bytes", "label": "int"}
    with MDSWriter(out=str(src / "mds"), columns=columns, size_limit=CHUNK_BYTES) as shards:
        for tar in tars:
            for sample in samples(tar):
                shards.write(sample)


if __name__ == "__main__":
    main()
