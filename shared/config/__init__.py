"""Configuration: what the hub reads from its surroundings."""
