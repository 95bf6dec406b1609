"""Jobs of the worker: ids in, safe to run twice."""

from contextlib import suppress
from uuid import UUID

from asgiref.sync import sync_to_async
from procrastinate.contrib.django import app

from apps.knowledge import fetching, filling, indexing, pipeline, regression, storage, tending, unpacking
from apps.knowledge.errors import DocumentNotFound
from apps.knowledge.services import documents
from shared.tenancy.actor import Actor
from shared.tenancy.run import run_as
from shared.tenancy.tasks import tenant_task


# More often than a step may begin (`ledger.MOST_FRUITLESS`): the document has failed before its job gives up.
@tenant_task("knowledge.process_version", retry=12)
async def process_version(actor: Actor, *, version_id: str) -> None:
    """Take a version through the stages it has not finished."""
    await pipeline.run(actor, UUID(version_id))


# Once: the clock asks again, and a look that failed has said why in its source's row.
@tenant_task("knowledge.refresh_source")
async def refresh_source(actor: Actor, *, source_id: str) -> None:
    """Look at an address again; what changed becomes a new version of its document."""
    with suppress(DocumentNotFound):  # deleted meanwhile
        await fetching.refresh(actor, UUID(source_id))


@tenant_task("knowledge.unpack_archive", retry=5)
async def unpack_archive(actor: Actor, *, import_id: str) -> None:
    """Make a document of each file in an archive, from where the last attempt came to."""
    await unpacking.unpack(actor, UUID(import_id))


@tenant_task("knowledge.reindex_document", retry=5)
async def reindex_document(actor: Actor, *, document_id: str) -> None:
    """Index a long document anew after its title changed."""
    with suppress(DocumentNotFound):  # deleted meanwhile
        await run_as(actor, documents.reindex, document_id=UUID(document_id))


@tenant_task("knowledge.tidy_index", retry=5)
async def tidy_index(actor: Actor) -> None:
    """Merge the rows of the search index, and sort its vectors."""
    await indexing.tidy(actor)


# Once: the clock asks again while any vector is missing.
@tenant_task("knowledge.embed_again")
async def embed_again(actor: Actor) -> None:
    """Make the vectors that passages lack of the models that are configured."""
    await filling.run(actor)


# A run that is begun again and again in vain is given up by its own count, and the clock finds one without a job.
@tenant_task("knowledge.run_golden_questions", retry=5)
async def run_golden_questions(actor: Actor, *, run_id: str) -> None:
    """Try the golden questions that this run has not tried yet."""
    await regression.run(actor, UUID(run_id))


@tenant_task("knowledge.remove_file", retry=5)
async def remove_file(actor: Actor, *, path: str) -> None:
    """Delete the file of a deleted document, in case its door died before it could."""
    await sync_to_async(storage.remove, thread_sensitive=False)(path)


# ---- On the clock, once for all workers. They belong to no creator and enter the scope of one after the other.


@app.periodic(cron="* * * * *")
@app.task(name="knowledge.tend", queueing_lock="knowledge.tend")
async def tend(timestamp: int) -> None:
    """Take up again what a crash has left, whatever has crashed, and look at what is due."""
    await tending.tend_everybody()


@app.periodic(cron="40 3 * * *")
@app.task(name="knowledge.sweep", queueing_lock="knowledge.sweep")
async def sweep(timestamp: int) -> None:
    """Delete stored files that no row names, and from the search indexes what is gone."""
    await tending.remove_unclaimed_files()
    await tending.tidy_indexes()


@app.periodic(cron="20 3 * * *")
@app.task(name="knowledge.trim_searches", queueing_lock="knowledge.trim_searches")
async def trim_searches(timestamp: int) -> None:
    """Forget what was searched for longer ago than it is kept."""
    await tending.trim_searches()
