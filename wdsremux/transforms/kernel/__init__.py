"""The kernel: from a stored JPEG to a new one over its Y, Cb and Cr planes, in C where it is built.

`choice` says which kernel a run uses, `native` is the Python face of the C extension.
"""
