"""Measures a conversion on a few rows before it is run in full."""
