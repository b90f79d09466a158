"""What is in the cluster, and what to make of it. Pure."""
