"""A throwaway Kubernetes, and the examples in it."""
