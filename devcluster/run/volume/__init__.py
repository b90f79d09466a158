"""The pod's volumes on the laptop: private copies, filled, compared and kept, and live volumes."""
