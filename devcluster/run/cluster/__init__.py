"""The cluster's half of one workload: agent in, agent out, who holds it."""
