"""What `repair` works with: what is recorded of a dataset, what is left of it, how it is remade."""
