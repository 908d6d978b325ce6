import itertools

from wdsremux.verifying import reports
from wdsremux.verifying.findings import Code, Finding
from wdsremux.verifying.reports import Collector, Report, ShardFindings


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
    reported = found.findings()
    assert [finding.key for finding in reported] == ["0", "1", "2", None]
    assert reported[-1].detail == "and 2 more like it"


def test_a_warning_of_a_shard_is_shown_once_with_its_count():
    found = Collector("s.tar")
    for i in range(5):
        found.add(Code.ODD_NAME, f"'a {i}'", offset=i)
    (reported,) = found.findings()
    assert (reported.offset, reported.detail) == (0, "'a 0', and 4 more in this shard")


def test_warnings_of_a_folder_are_shown_one_by_one():
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


def test_the_kept_findings_do_not_depend_on_the_order_of_shards():
    shards = {
        place: [Finding(Code.SAMPLE_DAMAGED, str(place), offset=i) for i in range(place)]
        for place in range(4)
    }
    for order in itertools.permutations(shards):
        gathering = ShardFindings(4)
        for place in order:
            gathering.take(place, shards[place], {Code.SAMPLE_DAMAGED: 10 * place})
        reported = [(finding.shard, finding.offset) for finding in gathering.findings()]
        assert reported == [("1", 0), ("2", 0), ("2", 1), ("3", 0)]
        assert gathering.counts == {Code.SAMPLE_DAMAGED: 60}


def test_no_more_findings_are_stored_than_shown():
    gathering = ShardFindings(5)
    for place in reversed(range(100)):
        gathering.take(place, [Finding(Code.BYTES_DAMAGED, str(place))] * 3, {})
        assert sum(map(len, gathering._kept.values())) <= 5
        assert len(gathering._last) == len(gathering._kept) <= 5
    assert [finding.shard for finding in gathering.findings()] == ["0", "0", "0", "1", "1"]


def test_a_collector_knows_the_codes_of_every_file(monkeypatch):
    monkeypatch.setattr(reports, "MAX_ERRORS", 1)
    one, two = Collector(), Collector()
    for name in "ab":
        one.take(Finding(Code.SHARD_SIZE, name))
    two.merge(one)
    assert len(two.kept) == 1
    assert two.codes == {"a": {Code.SHARD_SIZE}, "b": {Code.SHARD_SIZE}}


def test_long_details_are_shortened():
    found = Collector("s.tar")
    found.add(Code.IMAGE_SIZE, "x" * 10**6)
    (reported,) = found.findings()
    assert reported.detail == "x" * 997 + "..."
