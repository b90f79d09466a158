"""Private copies of the pod's volumes: filled, compared, kept."""
