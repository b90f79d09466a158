"""The cluster's API: requests, watches and credentials, the workloads and the agent's objects in it."""
