"""One attachment: the workload's agents, joined to what serves on the laptop."""
