"""Starting a processing, and telling open pages how it stands."""

from apps.knowledge.models import Document, Stage, Version
from shared.tenancy.actor import Actor
from shared.tenancy.run import announce


def start_version(actor: Actor, document: Document) -> Version:
    """Queue the processing of a document's current version: its rows and its job in one transaction."""
    # Here, because the task calls services of this package.
    from apps.knowledge.tasks import process_version

    version = Version.objects.create(document=document, number=document.version)
    stages = [Stage(version=version, position=place, name=name) for place, name in enumerate(Stage.Name)]
    Stage.objects.bulk_create(stages)
    process_version.defer(actor, version_id=str(version.id))
    announce_document(document)
    return version


def announce_document(document: Document) -> None:
    """Tell the creator's open pages how the document stands, once the transaction has committed."""
    announce(
        "document.changed",
        document.id,
        status=str(document.status),
        stage=document.stage,
        done=document.progress_done,
        total=document.progress_total,
    )
