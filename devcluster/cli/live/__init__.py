"""Progress on a terminal: rows that update in place."""
