"""What an agent is told of its pod, and what it tells."""
