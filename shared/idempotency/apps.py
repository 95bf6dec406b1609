"""Stored answers as a Django app: two tables."""

from django.apps import AppConfig


class IdempotencyConfig(AppConfig):
    """Answers of creators' requests, and of requests before there is a creator."""

    name = "shared.idempotency"
    label = "idempotency"
