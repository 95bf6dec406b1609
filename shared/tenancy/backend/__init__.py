"""A Django database backend for Postgres that knows creators: scope, roles, policies and composite keys."""
