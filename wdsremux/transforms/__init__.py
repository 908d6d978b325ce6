"""What is done to images: codecs, built-in steps, the user's function."""
