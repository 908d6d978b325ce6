"""The kernel: JPEG to JPEG over Y, Cb and Cr planes, in C where it is built."""
