"""img2dataset from a local HTTP server; the harness starts that server and passes --urls.

It does less: its own resize to 256 with a centred crop, no mirroring, no sharpening.
"""

import argparse
import json

from work import QUALITY, SIDE_PX, arguments, finish


def main() -> None:
    """Download and resize."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--urls", required=True, help="text file with a URL in each line")
    given = arguments(parser)
    from img2dataset import download

    out = given.out / "shards"
    download(
        url_list=given.urls,
        input_format="txt",
        output_folder=str(out),
        output_format="webdataset",
        image_size=SIDE_PX,
        resize_mode="center_crop",
        encode_quality=QUALITY,
        processes_count=given.workers,
        thread_count=16,
        number_sample_per_shard=1000,
        enable_wandb=False,
    )
    counts = [json.loads(path.read_text())["successes"] for path in out.glob("*_stats.json")]
    finish(sum(counts))


if __name__ == "__main__":
    main()
