"""Zip files for tests, and what becomes of them."""

import io
import zipfile

from django.core.files.storage import default_storage

from apps.knowledge.models import Document
from shared.tenancy.scope import creator_scope

NOTES = {"notes/herons.txt": b"Herons fish at dawn.", "notes/geese.md": b"# Geese\n\nThey fly south."}


def packed(entries, method=zipfile.ZIP_DEFLATED):
    """A zip file of (name or ZipInfo, content) pairs."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in entries.items() if isinstance(entries, dict) else entries:
            archive.writestr(name, content)
    return out.getvalue()


def documents(person):
    with creator_scope(person.creator.id):
        return {document.filename: document for document in Document.objects.all()}


def stored_files(person):
    return default_storage.listdir(f"creators/{person.creator.id.hex}/documents")[1]


def skipped(report):
    return [(entry["name"], entry["code"]) for entry in report["skipped"]]
