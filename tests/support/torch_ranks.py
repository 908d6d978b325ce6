"""Programs of data-parallel training that tests run in processes of their own; they need torch.

python torch_ranks.py ranks OUT...             four ranks, every number of workers
python torch_ranks.py train OUT WORKERS [STATE]   writes a state with each batch, until it is killed
python torch_ranks.py ways OUT               the other ways to use what wdsremux gives
"""

import json
import os
import sys
import warnings

import torch
import torch.distributed
import torch.multiprocessing
from torch.utils.data import DataLoader, Subset, WeightedRandomSampler

import wdsremux

# The machine of a test may have fewer cores than a loader has workers.
warnings.filterwarnings("ignore", message="This DataLoader will create")

RANKS = 4
WORKERS = (0, 1, 4)


def rank_of(rank, outs, meeting, found):
    """Read an epoch of every output with every number of workers, a barrier after each batch."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{meeting}", rank=rank, world_size=RANKS
    )
    for out in outs:
        for workers in WORKERS:
            batches = wdsremux.pipeline(
                out, shuffle=True, batch_size=16, decode="torch", columns=("image", "position")
            )
            seen = []
            for images, positions in batches.loader(workers):
                # As a data-parallel step does: with unequal numbers of batches this hangs.
                torch.distributed.all_reduce(images.float().mean())
                seen.append(positions.tolist())
            found.put((out, workers, rank, len(batches), seen))
    torch.distributed.destroy_process_group()


def ranks(outs):
    """Write [out, workers, rank, length, batches of positions] of every run."""
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    context = torch.multiprocessing.get_context("fork")
    found = context.Queue()
    meeting = os.path.join(os.environ["MEETING"], "meeting")  # noqa: PTH118 (a file that gloo makes)
    processes = [
        context.Process(target=rank_of, args=(rank, outs, meeting, found)) for rank in range(RANKS)
    ]
    for process in processes:
        process.start()
    runs = [found.get(timeout=200) for _ in range(RANKS * len(outs) * len(WORKERS))]
    for process in processes:
        process.join()
        assert process.exitcode == 0
    sys.stdout.write(json.dumps(runs))


def train(out, workers, state):
    """Write [positions, state behind them] of every batch of the epoch."""
    batches = wdsremux.pipeline(out, shuffle=True, batch_size=16, columns=("image", "position"))
    loader = batches.loader(int(workers))
    if state is not None:
        loader.load_state_dict(json.loads(state))
    for _, positions in loader:
        sys.stdout.write(f"{json.dumps([positions.tolist(), loader.state_dict()])}\n")
        sys.stdout.flush()


def ways(out):
    """Write the positions of an epoch by each way."""
    found = {}
    for start in ("fork", "spawn"):
        batches = wdsremux.pipeline(out, shuffle=True, batch_size=16, columns=("position",))
        options = {"num_workers": 2, "multiprocessing_context": start}
        plain = DataLoader(batches, batch_size=None, **options)
        found[f"plain {start}"] = [batch for (some,) in plain for batch in some.tolist()]
        batches.set_epoch(0)
        own = batches.loader(2, multiprocessing_context=start)
        found[f"loader {start}"] = [batch for (some,) in own for batch in some.tolist()]
        found[f"second epoch {start}"] = [batch for (some,) in own for batch in some.tolist()]
        split = wdsremux.load(out, decode="torch")
        options |= {"batch_size": 16, "collate_fn": wdsremux.collate}
        seen = list(DataLoader(split, shuffle=True, **options))
        assert seen[0]["image"].shape[:2] == (16, 3)
        found[f"load {start}"] = [one for batch in seen for one in batch["position"].tolist()]
    labels = torch.tensor(split.column("label"))
    sampler = WeightedRandomSampler((labels == 2).double(), 32)
    (batch,) = DataLoader(split, sampler=sampler, batch_size=32, collate_fn=wdsremux.collate)
    found["labels of a sampler"] = sorted(set(batch["label"].tolist()))
    (batch,) = DataLoader(Subset(split, [3, 1]), batch_size=2, collate_fn=wdsremux.collate)
    found["subset"] = batch["position"].tolist()
    one_by_one = wdsremux.pipeline(out, columns=("position",))
    singles = DataLoader(one_by_one, batch_size=8, num_workers=2)
    found["single samples"] = [one for (some,) in singles for one in some.tolist()]
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    if command == "ranks":
        ranks(arguments)
    elif command == "train":
        train(*arguments, *[None] * (3 - len(arguments)))
    else:
        ways(*arguments)
