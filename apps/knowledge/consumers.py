"""Live news about documents."""

from shared.tenancy.consumers import TenantConsumer


class DocumentsConsumer(TenantConsumer):
    """`WS /ws`: `document.changed`, `golden.regressed` and the like, numbered; ids, states and numbers only."""
