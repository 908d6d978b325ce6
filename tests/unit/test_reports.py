from wdsremux import reports
from wdsremux.findings import Code
from wdsremux.reports import Collector, Report


def report(counts):
    return Report(
        out="o", depth="bytes", findings=(), counts=counts, shards=2, checked_shards=1,
        samples=3, size_bytes=4, seconds=0.5,
    )  # fmt: skip


def test_errors_of_a_shard_are_kept_one_by_one_and_then_counted(monkeypatch):
    monkeypatch.setattr(reports, "MAX_ERRORS", 3)
    found = Collector("s.tar")
    for i in range(5):
        found.add(Code.SAMPLE_DAMAGED, key=str(i))
    told = found.findings()
    assert [finding.key for finding in told] == ["0", "1", "2", None]
    assert told[-1].detail == "and 2 more like it"


def test_a_warning_of_a_shard_is_told_once_with_its_number():
    found = Collector("s.tar")
    for i in range(5):
        found.add(Code.ODD_NAME, f"'a {i}'", offset=i)
    (told,) = found.findings()
    assert (told.offset, told.detail) == (0, "'a 0', and 4 more in this shard")


def test_warnings_of_a_folder_are_told_one_by_one():
    found = Collector()
    found.add(Code.TEMPORARY_LEFT, "a")
    found.add(Code.TEMPORARY_LEFT, "b")
    assert len(found.findings()) == 2


def test_merged_collectors_count_what_was_left_out():
    one, two = Collector("s.tar"), Collector("s.tar")
    for _ in range(4):
        one.add(Code.ODD_NAME, "x")
    two.merge(one)
    two.add(Code.ODD_NAME, "y")
    assert [finding.detail for finding in two.findings()] == ["x, and 4 more in this shard"]


def test_the_exit_code_says_whether_there_are_findings():
    assert report({}).exit_code == 0
    assert report({Code.CARD_MISSING: 1}).exit_code == 1


def test_a_report_counts_errors_and_warnings():
    made = report({Code.CARD_MISSING: 2, Code.SHARD_SIZE: 3})
    assert (made.errors, made.warnings) == (3, 2)
    raw = made.to_json()
    assert raw["counts"] == {"W120": 2, "W108": 3}
    assert raw["clean"] is False
