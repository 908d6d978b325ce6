"""What `--engine ray` refuses before it converts anything, without a cluster."""

from types import SimpleNamespace

import pytest

import wdsremux
from wdsremux.converting import ray_cluster
from wdsremux.converting.ray_cluster import RayCluster
from wdsremux.core.errors import UsageError


def cluster(*cpus):
    """Return a cluster whose nodes have these CPUs."""
    nodes = [
        {"Alive": True, "NodeID": str(i), "NodeManagerHostname": f"n{i}", "Resources": {"CPU": n}}
        for i, n in enumerate(cpus)
    ]
    return RayCluster(SimpleNamespace(nodes=lambda: nodes)), nodes


@pytest.mark.parametrize(
    ("source", "out", "options", "said"),
    [
        ("demo:", "out", {}, "OUT 'out' is a relative path"),
        ("photos", "/out", {}, "SOURCE 'photos' is a relative path"),
        ("demo:", "hf://datasets/me/out", {}, "lanes cannot write to hf://"),
        ("demo:", "/out", {"lane": "0/2"}, "lane cannot be combined with"),
        ("demo:", "/out", {"transform": "f.py:f"}, "'f.py:f' is a relative path"),
        ([{"image": b""}], "/out", {}, "cannot read a Python object"),
    ],
)
def test_what_the_nodes_cannot_find_is_refused(source, out, options, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    with pytest.raises(UsageError, match=said):
        wdsremux.convert(source, out, engine="ray", **options)


def test_options_of_a_cluster_without_one_are_refused(tmp_path):
    with pytest.raises(UsageError, match="effect only with"):
        wdsremux.convert("demo:", tmp_path / "out", cpus_per_lane=2)


def test_a_lane_gets_the_cpus_of_the_smallest_node_and_not_more_than_the_largest_has():
    nodes, _ = cluster(16, 0, 4)
    assert nodes.cpus == [4, 16]
    assert nodes.cpus_per_lane(None) == 4
    assert nodes.cpus_per_lane(8) == 8
    with pytest.raises(UsageError, match="the largest node of the Ray cluster has 16 CPUs"):
        nodes.cpus_per_lane(17)
    with pytest.raises(UsageError, match="no node of the Ray cluster has a CPU"):
        cluster(0)[0].cpus_per_lane(None)


def test_a_cluster_that_has_lost_all_large_nodes_is_given_up(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(ray_cluster, "time", SimpleNamespace(monotonic=lambda: now[0]))
    connected, nodes = cluster(4, 1)
    connected.refuse_loss(4, 10)
    nodes[0]["Alive"] = False
    for now[0] in (100.0, 109.0):
        connected.refuse_loss(4, 10)
    now[0] = 111.0
    with pytest.raises(UsageError, match="lost all nodes with 4 CPUs or more"):
        connected.refuse_loss(4, 10)


def test_a_node_with_other_versions_is_refused(monkeypatch):
    connected, _ = cluster(4)
    own = ray_cluster._versions()
    probe = SimpleNamespace(
        options=lambda **_: SimpleNamespace(remote=lambda: {**own, "pillow": "0.1"})
    )
    connected._ray.remote = lambda **_: lambda _: probe
    connected._ray.get = lambda ref, **_: ref
    strategies = SimpleNamespace(NodeAffinitySchedulingStrategy=lambda **_: None)
    connected._ray.util = SimpleNamespace(scheduling_strategies=strategies)
    connected._ray.exceptions = SimpleNamespace(RayError=OSError)
    with pytest.raises(UsageError, match=r"node 'n0' of the Ray cluster has pillow 0\.1, and"):
        connected.refuse_other_versions()
