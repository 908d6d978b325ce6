"""Property tests: no time limit (machines differ), and a failure says how to reproduce it."""

from hypothesis import settings

settings.register_profile("wdsremux", deadline=None, print_blob=True)
settings.load_profile("wdsremux")
