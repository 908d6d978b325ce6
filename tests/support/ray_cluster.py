"""Runs a Ray cluster of one head without CPUs and some nodes, until stdin is closed.

    python ray_cluster.py NODES CPUS

Prints the address of the cluster. Then each line of stdin, "node N" or "raylet N", kills all
processes of node N, or its raylet only, and is answered by "done".
"""

import os
import sys

os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_ENABLE_UV_RUN_RUNTIME_ENV="0")

from ray.cluster_utils import Cluster

MEMORY = 80_000_000
"""Bytes of the object store of a node: no data passes through it."""


def main() -> None:
    """Serve until stdin is closed."""
    count, cpus = map(int, sys.argv[1:])
    common = {"object_store_memory": MEMORY, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **common})
    try:
        nodes = [
            cluster.add_node(wait=False, num_cpus=cpus, object_store_memory=MEMORY)
            for _ in range(count)
        ]
        cluster.wait_for_nodes()
        answer(cluster.address)
        for line in sys.stdin:
            kind, number = line.split()
            node = nodes[int(number)]
            if kind == "node":
                node.kill_all_processes(check_alive=False, allow_graceful=False)
            else:
                node.kill_raylet(check_alive=False)
            answer("done")
    finally:
        cluster.shutdown()


def answer(text: str) -> None:
    """Write a line to stdout."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
