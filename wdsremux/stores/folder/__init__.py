"""A folder on a local or network file system."""
