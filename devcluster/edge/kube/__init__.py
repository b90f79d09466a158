"""The cluster's API: requests, watches, credentials, the workloads and the agent's objects in it."""
