"""The user's function: what it is called with, what it may return, what identifies it."""
