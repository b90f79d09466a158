"""The Docker engine: a project's containers, network, volumes and images, and the sandbox's."""
