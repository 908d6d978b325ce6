"""Pages to look at: a contact sheet of samples, a report of a whole output; each in one file."""
