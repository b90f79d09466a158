"""Which names of Services are rewritten, and which stay. Pure."""
