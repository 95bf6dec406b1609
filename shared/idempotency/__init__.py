"""`Idempotency-Key`: a client that lost the connection repeats a POST and gets the answer it missed.

The answer is stored in the same transaction as its effect, so there is never one without the other.
"""
