import errno
import os

import pytest

from wdsremux.core.errors import SourceError
from wdsremux.sources.rows.outages import read_through_outages


class Share:
    """Fails a number of times, then answers."""

    def __init__(self, failures, number):
        self.left, self.number = failures, number

    def read(self):
        self.left -= 1
        if self.left >= 0:
            raise OSError(self.number, os.strerror(self.number))
        return b"image"


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT])
def test_a_share_that_comes_back_costs_no_image(number):
    assert read_through_outages("x", 60, Share(2, number).read) == b"image"


def test_a_share_that_stays_away_is_an_error_of_the_source():
    with pytest.raises(SourceError, match=r"cannot read the file 'a\.jpg': .*finished shards"):
        read_through_outages("the file 'a.jpg'", 0.01, Share(1000, errno.EIO).read)


def test_what_is_wrong_with_a_file_is_not_tried_again():
    share = Share(9, errno.EACCES)
    with pytest.raises(PermissionError):
        read_through_outages("x", 60, share.read)
    assert share.left == 8
