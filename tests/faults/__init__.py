"""What goes wrong, one fault at a time, and how long it takes until all is well again."""
