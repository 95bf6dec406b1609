from django.apps import AppConfig


class HubConfig(AppConfig):
    """A creator's home: profile and usage."""

    name = "apps.hub"
    label = "hub"
    verbose_name = "Hub"
