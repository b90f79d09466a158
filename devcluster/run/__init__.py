"""What a command does: apply a plan, keep the journal, be the host process, tell the status."""
