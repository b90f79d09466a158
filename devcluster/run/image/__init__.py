"""Images on the laptop: which one a workload wants, and what it says of itself."""
