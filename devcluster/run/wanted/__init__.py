"""What a workload is to become: the file over what the cluster has, and what to be careful about."""
