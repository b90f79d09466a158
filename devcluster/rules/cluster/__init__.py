"""What stands in the cluster, and what is made of it. Pure."""
