"""The host process: the session, its attachments, the local pods, and what is told of them."""
