"""Staff's view of what a creator brought, while acting as that creator. Rows change through services only."""

from django.contrib import admin

from apps.knowledge.models import Chunk, Document, Version
from shared.tenancy.admin import TenantAdmin


@admin.register(Document)
class DocumentAdmin(TenantAdmin):
    """Documents, and what became of them."""

    read_only = True
    list_display = ("title", "filename", "status", "stage", "bytes", "chunk_count", "created_at")
    list_filter = ("status", "media_type")
    search_fields = ("title", "filename")
    ordering = ("-created_at",)


@admin.register(Version)
class VersionAdmin(TenantAdmin):
    """Each processing of a document."""

    read_only = True
    list_display = ("document", "number", "status", "failure_code", "created_at", "finished_at")
    list_filter = ("status",)
    list_select_related = ("document",)
    ordering = ("-created_at",)


@admin.register(Chunk)
class ChunkAdmin(TenantAdmin):
    """The passages that search finds."""

    read_only = True
    fields = ("document", "version", "position", "text", "page", "heading", "tokens", "lexeme_count")
    list_display = ("document", "position", "page", "heading", "tokens")
    list_select_related = ("document",)
    search_fields = ("text",)
    ordering = ("document", "position")
