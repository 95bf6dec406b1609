from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Who may sign in, and for which creator."""

    name = "apps.accounts"
    label = "accounts"
    verbose_name = "Accounts"
