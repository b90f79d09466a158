"""Manifests in the shapes that well-known charts render, each taken through everything."""
