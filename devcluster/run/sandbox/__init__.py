"""The throwaway Kubernetes: its image, its place, its start and end; the example in it."""
