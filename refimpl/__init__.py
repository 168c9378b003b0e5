"""The executable reference of the protocol (not built yet)."""
