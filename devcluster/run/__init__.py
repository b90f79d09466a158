"""What a command does: apply a plan, be the host process, tell the status."""
