"""Figures for the docs, each from one run."""
