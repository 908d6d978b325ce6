"""How work is spread over threads and processes."""
