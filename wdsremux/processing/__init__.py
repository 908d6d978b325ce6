"""Rows to tasks to workers to packed samples, in order."""
