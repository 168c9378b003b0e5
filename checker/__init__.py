"""How a protocol is checked; nothing in here knows which protocol it is."""
