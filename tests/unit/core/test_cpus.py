"""How many CPUs to plan for: affinity and the quota of a control group."""

import os

import pytest

from wdsremux.core.cpus import usable_cpus


@pytest.fixture(autouse=True)
def _eight_cpus(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)


def group_v2(folder, text):
    (folder / "cpu.max").write_text(text)
    return folder


def group_v1(folder, quota, period):
    (folder / "cpu").mkdir()
    (folder / "cpu" / "cpu.cfs_quota_us").write_text(quota)
    (folder / "cpu" / "cpu.cfs_period_us").write_text(period)
    return folder


def test_without_a_control_group_the_affinity_counts(tmp_path):
    assert usable_cpus(tmp_path) == 8


def test_without_affinity_all_cpus_count(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    assert usable_cpus(tmp_path) == 64


def test_a_system_that_does_not_know_its_cpus_has_one(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cpus(tmp_path) == 1


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("max 100000\n", 8),
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),
        ("10000 100000\n", 1),
        ("1600000 100000\n", 8),
        ("50000 25000\n", 2),
    ],
)
def test_the_quota_of_a_version_2_group_counts_in_whole_cpus(tmp_path, text, cpus):
    assert usable_cpus(group_v2(tmp_path, text)) == cpus


@pytest.mark.parametrize(
    ("quota", "period", "cpus"),
    [("-1\n", "100000\n", 8), ("250000\n", "100000\n", 3), ("50000\n", "100000\n", 1)],
)
def test_the_quota_of_a_version_1_group_counts_in_whole_cpus(tmp_path, quota, period, cpus):
    assert usable_cpus(group_v1(tmp_path, quota, period)) == cpus


@pytest.mark.parametrize("text", ["", "max", "nonsense 100000", "100000 0", "a b c"])
def test_an_unreadable_quota_is_ignored(tmp_path, text):
    assert usable_cpus(group_v2(tmp_path, text)) == 8


@pytest.mark.parametrize(("quota", "period"), [("", ""), ("100000", "0"), ("x", "100000")])
def test_an_unreadable_version_1_quota_is_ignored(tmp_path, quota, period):
    assert usable_cpus(group_v1(tmp_path, quota, period)) == 8


@pytest.mark.parametrize(
    ("own", "outer", "cpus"),
    [("200000", "max", 2), ("max", "300000", 3), ("400000", "300000", 3), ("max", "max", 8)],
)
def test_a_nested_version_2_group_is_bound_by_all_above_it(tmp_path, own, outer, cpus):
    inner = tmp_path / "user.slice" / "run-1.scope"
    inner.mkdir(parents=True)
    group_v2(inner, f"{own} 100000\n")
    group_v2(inner.parent, f"{outer} 100000\n")
    membership = tmp_path / "membership"
    membership.write_text("0::/user.slice/run-1.scope\n")
    assert usable_cpus(tmp_path, membership) == cpus


def test_a_nested_version_1_group_counts(tmp_path):
    folder = tmp_path / "cpu" / "job_7"
    folder.mkdir(parents=True)
    (folder / "cpu.cfs_quota_us").write_text("200000\n")
    (folder / "cpu.cfs_period_us").write_text("100000\n")
    membership = tmp_path / "membership"
    membership.write_text("4:memory:/x\n3:cpu,cpuacct:/job_7\n1:name=systemd:/\n")
    assert usable_cpus(tmp_path, membership) == 2


@pytest.mark.parametrize("text", ["", "nonsense\n", "0::/not/there\n", "0::/../up\n", "0::/\n"])
def test_an_unknown_group_falls_back_to_the_root_group(tmp_path, text):
    group_v2(tmp_path, "300000 100000\n")
    membership = tmp_path / "membership"
    membership.write_text(text)
    assert usable_cpus(tmp_path, membership) == 3


def test_this_machine_has_at_least_one_cpu():
    assert usable_cpus() >= 1
