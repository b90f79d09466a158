"""Trees of files: what is there, what changed. Pure."""
