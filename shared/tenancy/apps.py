"""The kernel as a Django app: its checks, and commands that run as the owner."""

from django.apps import AppConfig


class TenancyConfig(AppConfig):
    """Registers the checks that refuse an unfit role or an unprotected table."""

    name = "shared.tenancy"
    label = "tenancy"

    def ready(self) -> None:
        from shared.tenancy import checks  # noqa: F401 - registers itself
