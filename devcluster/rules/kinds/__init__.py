"""What differs by kind of workload, a module a kind; ``table`` has them all."""
