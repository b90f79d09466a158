"""What the local side is made of. Pure."""
