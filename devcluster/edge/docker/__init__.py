"""The Docker engine: a project's containers, network, volumes and images; the sandbox's too."""
