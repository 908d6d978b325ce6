"""Where finished files are published."""
