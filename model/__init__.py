"""What is checked: the page-cache locking of genfs_io.c 1.18."""
