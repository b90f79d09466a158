"""devcluster: run a workload of a Kubernetes cluster in a local container, as if it were the pod."""

__version__ = "0.1.0"
