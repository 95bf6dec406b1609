"""Measurements: `make bench`, `make load`, `make rls-cost`. Nothing here is part of the hub."""
