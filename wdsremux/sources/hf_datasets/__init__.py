"""What only the library `datasets` can read: its objects, its streams, its saved folders."""
