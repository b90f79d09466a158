"""The only rooms with IO: the cluster, the Docker engine, lanes, SSH, files."""
