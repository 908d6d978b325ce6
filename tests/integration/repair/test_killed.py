"""A repair that is killed at any of its file calls is finished by the next one."""

import pytest
from support.faults import Faults
from support.repairable import cut, entry, make, remove, shard, state
from support.runs import tree

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make("splits", tmp_path_factory.mktemp("splits"))


def damaged(made, folder):
    """Return a copy with a little of everything gone."""
    out = made.copy(folder)
    cut(shard(out, 1), 3000)
    remove(shard(out, 4), entry(out, 2), out / "index.json", out / "README.md")
    remove(state(out, "rejected.jsonl"))
    return out


def arguments(out):
    return "repair", out, "--workers", 1, "--engine", "threads", "--progress", "none"


@pytest.mark.parametrize("power_cut", [False, True])
def test_killed_at_any_moment_the_next_repair_completes(command, made, tmp_path, power_cut):
    whole, bad = tree(made.out), tree(damaged(made, tmp_path / "bad"))
    moment = 0
    while True:
        moment += 5 if power_cut else 2  # neither divides the calls that a file takes
        out = damaged(made, tmp_path / f"killed-{moment}")
        faults = Faults(str(out), kill_at=moment, power_cut=power_cut)
        ended = command.run(*arguments(out), faults=faults)
        for name, there in tree(out).items():
            is_unfinished = name.endswith((".wdsremux-tmp", "lock"))
            assert is_unfinished or there in (whole[name], bad.get(name)), (moment, name)
        if not ended.was_killed:
            break
        done = command.run(*arguments(out))
        assert done.returncode == 0, (moment, done.stderr)
        assert tree(out) == whole, moment
    assert ended.returncode == 0, ended.stderr
    assert moment > 40


def test_a_full_disk_is_reported_and_loses_nothing(command, made, tmp_path):
    out = damaged(made, tmp_path / "out")
    used = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    before = tree(out)
    ended = command.run(*arguments(out), faults=Faults(str(out), room=used + 4000))
    assert ended.returncode == 5
    assert "free some space" in ended.stderr
    kept = {name: there for name, there in tree(out).items() if before.get(name) != there}
    assert set(kept) <= {str(entry(made.out, 2).relative_to(made.out))}
    assert command.run(*arguments(out)).returncode == 0
    assert tree(out) == tree(made.out)
