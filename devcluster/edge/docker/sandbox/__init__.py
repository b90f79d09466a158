"""What only the sandbox and the examples ask of the engine: a node, and images made on this laptop."""
