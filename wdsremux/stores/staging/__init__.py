"""A scratch folder in which files wait for their upload."""
