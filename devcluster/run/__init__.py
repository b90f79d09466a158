"""What commands do: apply a plan, be the host process, tell the status."""
