from django.apps import AppConfig


class KnowledgeConfig(AppConfig):
    """Documents, their processing, and search."""

    name = "apps.knowledge"
    label = "knowledge"
    verbose_name = "Knowledge"
