"""The rule by which samples fall into shards, as a model for tests of what writes them."""


def assign(sizes, bounds):
    """Yield the shard number of each sample, in order; a new shard begins where one does not fit.

    A sample that is larger than the bound is alone in its shard.
    """
    number = payload = samples = 0
    for size in sizes:
        if samples and not bounds.fits(payload, samples, size):
            number += 1
            payload = samples = 0
        payload += size
        samples += 1
        yield number
