"""What the command `sync` prints."""

import pytest
from support.runs import tree
from support.verified import make_dataset

from wdsremux.cli.main import main
from wdsremux.cli.sync import report_lines
from wdsremux.syncing.report import SentFile, SyncReport


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("made") / "out")


def run(capsys, *arguments):
    code = main([str(word) for word in arguments])
    reported = capsys.readouterr()
    return code, reported.out.splitlines(), reported.err


def test_a_sync_ends_with_what_was_sent_and_the_next_with_nothing(made, tmp_path, capsys):
    nas = tmp_path / "nas"
    files = len(tree(made))
    code, (*planned, line), _ = run(capsys, "sync", made, nas, "--dry-run")
    assert (code, len(planned)) == (0, files)
    assert line.startswith(f"would send {files} files, ")
    code, (line,), _ = run(capsys, "sync", made, nas, "--jobs", 2, "--bandwidth", "500MB")
    assert line.startswith(f"sent {files} files, ")
    assert line.endswith(f"proof: {files} reread")
    code, (line,), err = run(capsys, "sync", made, nas)
    assert (code, err) == (0, "")
    assert line.startswith(f"nothing to send: {files} files, ")
    assert line.endswith(f", already at {nas}")


@pytest.mark.parametrize(
    ("arguments", "reported"),
    [
        (["--jobs", "0"], "jobs"),
        (["--bandwidth", "fast"], "bandwidth"),
        (["--give-up-after", "x"], "give_up_after"),
    ],
)
def test_a_wrong_option_ends_with_2(made, tmp_path, capsys, arguments, reported):
    code, _, err = run(capsys, "sync", made, tmp_path / "nas", *arguments)
    assert code == 2
    assert reported in err.replace("-", "_")
    assert not (tmp_path / "nas").exists()


def test_a_folder_without_a_dataset_ends_with_3(tmp_path, capsys):
    code, _, err = run(capsys, "sync", tmp_path, tmp_path.parent / "nas")
    assert code == 3
    assert "wdsremux index" in err


def report(**changes):
    known = {
        "dest": "s3://bucket/pets",
        "is_dry_run": False,
        "files": 3,
        "size_bytes": 2_000_000,
        "present_files": 1,
        "present_bytes": 500,
        "seconds": 61.0,
        "levels": {"unverified": 1, "checksum": 2},
    }
    return SyncReport(**(known | changes))


def test_the_closing_line_shows_bytes_time_and_proof():
    (line,) = report_lines(report())
    assert line == (
        "sent 3 files, 2.0 MB, to s3://bucket/pets in 1 min 1 s, "
        "proof: 2 checksum, 1 unverified; 1 file, 500 B, there already"
    )


def test_everything_left_undone_is_reported():
    lines = report_lines(
        report(
            left_alone=("README.md",),
            kept=("a.tar",),
            freed=tuple(f"{n}.tar" for n in range(12)),
            stale=("old.tar",),
        )
    )
    assert lines[:-1] == [
        "README.md at s3://bucket/pets was not written by wdsremux and was not changed",
        "kept here, since the copies could not be verified: a.tar",
        "moved: 0.tar, 1.tar, 2.tar, 3.tar, 4.tar, 5.tar, 6.tar, 7.tar, 8.tar, 9.tar and 2 more",
        "there, but no longer in index.json; --delete removes them: old.tar",
    ]


def test_a_dry_run_prints_every_file_and_why_and_the_totals_last():
    sent_files = [SentFile(f"{n}.tar", n * 1000, "missing") for n in range(5000)]
    sent_files += [SentFile("README.md", 20, "differs"), SentFile("a.json", 30, "unverified")]
    lines = report_lines(
        report(
            is_dry_run=True, sent_files=tuple(sent_files), removed=("old.tar",), freed=("7.tar",)
        )
    )
    assert lines[7] == "would send 7.tar, 7.0 kB: missing"
    assert lines[5000:] == [
        "would send README.md, 20 B: differs",
        "would send a.json, 30 B: unverified",
        "would remove old.tar at s3://bucket/pets",
        "would remove 7.tar here, once its copy is verified",
        (
            "would send 3 files, 2.0 MB, to s3://bucket/pets; 1 file, 500 B, there already; "
            "would remove 1 file there; would remove 1 shard here"
        ),
    ]


def test_a_dry_run_with_nothing_to_send_still_shows_what_would_be_removed():
    lines = report_lines(report(is_dry_run=True, files=0, size_bytes=0, removed=("old.tar",)))
    assert lines == [
        "would remove old.tar at s3://bucket/pets",
        "nothing to send: 1 file, 500 B, already at s3://bucket/pets; would remove 1 file there",
    ]


def test_the_urls_for_loaders_are_printed():
    loaders = {"aws": {"train": ["pipe:aws s3 cp s3://b/train-{000000..000001}.tar -"]}}
    assert report_lines(report(loaders=loaders))[1:] == [
        "  train, aws: pipe:aws s3 cp s3://b/train-{000000..000001}.tar -"
    ]
