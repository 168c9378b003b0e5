"""A model checker for page-cache locking protocols."""
