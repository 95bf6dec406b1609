"""`manage.py reprocess_failed --creator ID`: once the reason is out of the world, try the failed documents again."""

from typing import Any

from apps.knowledge.services.documents import reprocess_failed
from shared.tenancy.actor import Actor
from shared.tenancy.commands import TenantCommand


class Command(TenantCommand):
    """For the operator, after an outage of the embedding endpoint or of the storage, say."""

    help = "Queue a creator's failed documents again."

    def handle_for(self, actor: Actor, /, **options: Any) -> str:
        return f"{reprocess_failed(actor)} documents are queued."
