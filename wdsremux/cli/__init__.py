"""The command line: one file per command, flags, console output, signals and help pages."""
