"""Ports: what they are known by, which a workload has, and which of them are on the laptop."""
