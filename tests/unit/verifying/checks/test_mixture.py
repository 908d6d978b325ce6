from wdsremux.verifying.checks.mixture import MAX_FIELDS, Mixture


def test_equal_samples_are_not_a_mixture():
    mixture = Mixture()
    for _ in range(3):
        assert mixture.note_members(("jpg", "json")) is None
        assert mixture.note_json({"a": 1, "b": None}) is None


def test_the_order_of_members_does_not_matter():
    mixture = Mixture()
    mixture.note_members(("jpg", "json"))
    assert mixture.note_members(("json", "jpg")) is None
    assert mixture.note_members(("json",)) == "'.json', the first has '.jpg, .json'"


def test_a_type_is_that_of_the_first_value_that_is_not_null():
    mixture = Mixture()
    assert mixture.note_json({"a": None}) is None
    assert mixture.note_json({"a": 1}) is None
    assert mixture.note_json({"a": None}) is None
    assert mixture.note_json({"a": 1.0}) == "'a' is a number, before it was a whole number"
    assert mixture.note_json({"a": True}) == "'a' is a boolean, before it was a whole number"


def test_new_and_missing_fields_are_reported():
    mixture = Mixture()
    mixture.note_json({"a": 1, "b": 1})
    assert mixture.note_json({"a": 1}) == "'b' is missing"
    assert mixture.note_json({"a": 1, "b": 1, "c": 1}) == "'c' is new"


def test_shards_are_compared_by_their_common_fields():
    one, two, empty = Mixture(), Mixture(), Mixture()
    one.note_members(("json",))
    one.note_json({"a": None})
    two.note_members(("json",))
    two.note_json({"a": "x"})
    dataset = Mixture()
    assert [dataset.merge(shard) for shard in (one, empty, two)] == [(None, None)] * 3
    three = Mixture()
    three.note_members(("json", "txt"))
    three.note_json({"a": 5})
    members, fields = dataset.merge(three)
    assert members is not None
    assert fields == "'a' is a whole number, before it was a string"


def test_objects_with_very_many_fields_are_compared_in_part():
    mixture = Mixture()
    mixture.note_json({str(i): i for i in range(MAX_FIELDS * 3)})
    assert len(mixture.kinds) == MAX_FIELDS
