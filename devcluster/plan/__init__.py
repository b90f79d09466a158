"""Observed state and the steps that lead from it to the wanted one. Pure."""
