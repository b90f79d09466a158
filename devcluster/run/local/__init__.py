"""What serves on the laptop: a container or a process, its network, its way out, its health."""
