"""Copies a finished dataset to another store: what exists, what to send, how it is sent."""
