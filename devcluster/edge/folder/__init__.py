"""Folders of the laptop that hold a volume: listed as the agent lists its own trees, and filled."""
