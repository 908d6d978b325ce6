"""Tars in WebDataset form, as a source."""
