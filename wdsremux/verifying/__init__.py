"""Findings, checks, verify and index."""
