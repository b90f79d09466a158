"""What a command shows: its result as text, and its progress in rows that update in place."""
