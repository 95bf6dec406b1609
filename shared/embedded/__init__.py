"""Real Postgres and real Redis for a machine that has none, and the hub's start in one command.

Nothing here is needed by a hub that was given its servers, but for `bootstrap`, which makes the two roles anywhere.
"""
