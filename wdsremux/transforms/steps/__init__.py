"""The built-in steps."""
