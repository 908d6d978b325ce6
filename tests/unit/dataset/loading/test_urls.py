"""`urls`: what `webdataset` opens."""

import pytest
import webdataset
from support.readers import webdataset_samples
from support.verified import make_dataset

import wdsremux
from wdsremux.core.errors import UsageError


def test_webdataset_reads_the_list_and_the_pattern(tmp_path):
    out = make_dataset(tmp_path / "a {x} b" / "out", copies=2)
    for copy in (0, 1):
        listed = wdsremux.urls(out, copy=copy)
        (pattern,) = wdsremux.urls(out, "train", epoch=copy + 2, as_patterns=True)
        assert listed == webdataset.shardlists.expand_urls(pattern)
        keys = [one["key"] for one in wdsremux.load(out, copy=copy)]
        assert [one["__key__"] for one in webdataset_samples("", pattern[1:])] == keys


def test_a_folder_has_no_other_form(tmp_path):
    out = make_dataset(tmp_path / "out", rows=3, broken=())
    with pytest.raises(UsageError, match="is a folder, whose URLs are paths"):
        wdsremux.urls(out, form="https")
    with pytest.raises(UsageError, match="no copy 1"):
        wdsremux.urls(out, copy=1)
