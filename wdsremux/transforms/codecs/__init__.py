"""Bytes to pixels and back: JPEG, PNG, WebP and the rest of Pillow."""
