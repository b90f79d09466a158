"""The cluster's half of one workload: what was read, agent in, agent out, who holds it."""
