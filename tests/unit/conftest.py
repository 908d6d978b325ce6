"""Property tests: no stop-watch (machines differ), and a failure tells how to see it again."""

from hypothesis import settings

settings.register_profile("wdsremux", deadline=None, print_blob=True)
settings.load_profile("wdsremux")
