"""Dataset repositories of the Hugging Face Hub as store."""
