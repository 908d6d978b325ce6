"""What a dry run reports of files to send, remove and move; at a place in memory."""

from support.remote_memory import URL
from support.runs import files_of, shards_of, tree
from support.verified import copied

from wdsremux.syncing.sync import sync


def test_a_dry_run_lists_what_would_be_sent_and_writes_nothing(out, place, tmp_path):
    report = sync(out, URL, dry_run=True)
    done = sync(out, URL)
    # The receipts, which the index holds, are known only then.
    assert report.files == done.files
    assert 0 <= done.size_bytes - report.size_bytes < 1000
    sync(out, tmp_path / "nas", dry_run=True, move=True, delete=True)
    assert not (tmp_path / "nas").exists()
    assert not (out / ".wdsremux" / "lock").exists()


def planned(report):
    return {file.name: file.why for file in report.sent_files}


def test_a_dry_run_names_what_a_sync_then_sends_in_its_order(out, place):
    report = sync(out, URL, dry_run=True, jobs=1)
    assert {*planned(report).values()} == {"missing"}
    assert [file.name for file in sync(out, URL, jobs=1).sent_files] == place.published
    assert [*planned(report)] == place.published
    here = files_of(out)
    for file in report.sent_files:
        # The receipts, which the index holds, are known only when it is sent.
        if file.name != "index.json":
            assert file.size_bytes == len(here[file.name])


def test_a_dry_run_says_why_each_file_would_be_sent(out, place):
    sync(out, URL)
    whole, cut, gone, *_ = shards_of(out)
    for name in (gone, "README.md"):
        del place.files[name]
    place.files[cut] = place.files[cut][:-512]
    assert planned(sync(out, URL, dry_run=True)) == {
        cut: "differs",
        gone: "missing",
        "README.md": "missing",
        # Its receipts of shards are known only when they are sent, and may be those of before.
        "index.json": "differs",
    }
    del place.files["index.json"]
    place.level = "unverified"
    reported = planned(sync(out, URL, dry_run=True))
    assert (reported[whole], reported[cut], reported[gone]) == ("unverified", "differs", "missing")
    assert reported["index.json"] == "missing"


def test_a_dry_run_lists_what_delete_and_move_would_remove(out, other, place, tmp_path):
    sync(out, URL)
    new = copied(other, tmp_path / "new")
    there, here = dict(place.files), tree(new)
    stale = sync(new, URL, dry_run=True).stale
    report = sync(new, URL, dry_run=True, delete=True, move=True)
    assert (report.removed, report.stale) == (stale, ())
    assert list(report.freed) == shards_of(new)
    assert (place.files, tree(new)) == (there, here)
    assert sync(new, URL, delete=True, move=True).freed == report.freed


def test_a_dry_run_of_a_move_keeps_unverifiable_shards(out, place):
    sync(out, URL)
    place.level, place.notes = "unverified", True
    report = sync(out, URL, dry_run=True, move=True)
    assert (list(report.kept), report.freed) == (shards_of(out), ())


def test_a_dry_run_of_a_complete_copy_has_nothing_to_send(out, place):
    sync(out, URL)
    place.calls.clear()
    assert sync(out, URL, dry_run=True).files == 0
    assert {operation for operation, _ in place.calls} == {"prove"}
