"""Reads outputs that nothing vouches for, near and far."""
