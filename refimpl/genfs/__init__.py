"""The functions of genfs_io.c 1.18, one module for each; numbers in them are its lines."""
