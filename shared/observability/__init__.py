"""What the hub says about itself: logs, request ids, metrics, probes."""
