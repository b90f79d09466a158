"""The ways from the laptop to an agent's port, and the gateway's door at the laptop's end."""
