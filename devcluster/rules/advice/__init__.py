"""What somebody should know. Pure."""
