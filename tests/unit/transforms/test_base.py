import numpy as np
import pytest
from numpy.random import Generator, Philox

from wdsremux.transforms.base import rgb, rgbx, sample_rng


def test_the_stream_is_philox_keyed_by_the_seed_and_counted_by_copy_and_position():
    expected = Generator(Philox(key=[42, 0], counter=[0, 0, 7, 3])).random(5)
    assert (sample_rng(42, 3, 7).random(5) == expected).all()


def test_streams_of_different_samples_differ():
    triples = [(s, c, p) for s in (0, 1, 2**64 - 1) for c in (0, 1, 2) for p in (0, 1, 2**40)]
    firsts = {sample_rng(*triple).integers(2**63) for triple in triples}
    assert len(firsts) == len(triples)


def test_a_stream_does_not_depend_on_what_was_drawn_before():
    first = sample_rng(1, 0, 5).random(3)
    sample_rng(1, 0, 6).random(1000)
    assert (sample_rng(1, 0, 5).random(3) == first).all()


def test_a_negative_seed_is_refused():
    with pytest.raises(OverflowError):
        sample_rng(-1, 0, 0)


def test_channels_are_added_and_taken_away_without_touching_the_colours():
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert rgbx(pixels).shape == (2, 4, 4)
    assert (rgb(rgbx(pixels)) == pixels).all()
    assert rgb(pixels) is pixels
