"""Parquet files, local and on the Hub, read by row groups."""
