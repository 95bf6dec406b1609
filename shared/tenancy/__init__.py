"""The kernel: who acts, for which creator, and how Postgres is told.

Read in this order: `actor`, `scope`, `models`, `backend/`, `policies`, `run`, then the doors
(`middleware`, `pages`, `consumers`, `tasks`, `admin`).
"""
