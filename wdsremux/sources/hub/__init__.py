"""Where the files of a Hub dataset are, and what the Hub answers."""
