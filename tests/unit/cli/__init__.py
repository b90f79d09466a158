"""What the command line does before it asks anybody."""
