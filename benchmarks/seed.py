"""Fill a database for a measurement: python -m benchmarks.seed CREATORS DOCUMENTS. Prints the people as JSON."""

import json
import sys

from shared.config.env_constants import use_settings

use_settings()

import django  # noqa: E402

django.setup()

from django.db import transaction  # noqa: E402

from apps.accounts.services import register_and_sign_in  # noqa: E402
from apps.knowledge.models import Document  # noqa: E402
from benchmarks.stage import mark  # noqa: E402
from shared.tenancy.scope import creator_scope  # noqa: E402


def main() -> None:
    creators, documents = int(sys.argv[1]), int(sys.argv[2])
    print(json.dumps([make_creator(number, documents) for number in range(creators)]))


def make_creator(number: int, documents: int) -> dict[str, str]:
    """A creator with documents of every length of title; some names are not ASCII."""
    with transaction.atomic():
        new = register_and_sign_in(
            email=f"owner-{number}@bench.example.com", password_hash="!", display_name=f"Zoë {mark(number)}"
        )
    with creator_scope(new.creator.id), transaction.atomic():
        rows = Document.objects.bulk_create([_document(number, place) for place in range(documents)])
    return {"token": new.access_token, "document_id": str(rows[documents // 2].id)}


def _document(number: int, place: int) -> Document:
    return Document(
        title=f"How to prepare session {place} of {mark(number)}: what to bring, what to leave, “why”",
        filename=f"session-{place}.pdf",
        media_type="application/pdf",
        bytes=100_000 + place,
        tags=["handbook", "für alle", f"part {place % 7}"],
        status="ready",
        stage="verify",
        progress_done=12,
        progress_total=12,
        live_version=1,
        page_count=12,
        chunk_count=40,
    )


if __name__ == "__main__":
    main()
