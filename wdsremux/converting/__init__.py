"""From a source to shards: convert, resume, --extend, --sync-to, bench."""
