"""Talking to an agent over SSH: its control, and the files of its mounts."""
