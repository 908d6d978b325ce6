"""What tests of several rooms share; builders live in tests/support."""
