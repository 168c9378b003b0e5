"""The functions of genfs_io.c 1.18 that move pages, one module for each, line by line.

Not direct I/O and the compat functions, 1413 to 1765.
"""
