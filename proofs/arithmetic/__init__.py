"""The arithmetic of offsets, counts and sizes, at the full widths of C."""
