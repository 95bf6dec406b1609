"""Live news about documents."""

from shared.tenancy.consumers import TenantConsumer


class DocumentsConsumer(TenantConsumer):
    """`WS /ws`: `document.changed` and `document.deleted`, numbered; ids, states and numbers only."""
