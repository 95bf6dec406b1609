"""What must hold when all work is done, whatever was killed meanwhile: asked of the database, storage and the API."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg

from benchmarks.papers import Paper
from tests.faults.own_hub import OwnHub

# Each finds what breaks the sentence. Nobody asked for a second version of anything.
_BROKEN = {
    "documents that are not ready": """
        SELECT concat_ws(' ', id, status, stage, failure_code) FROM knowledge_document
        WHERE status <> 'ready' OR live_version IS DISTINCT FROM version""",
    "versions that are not ready, or still claimed": """
        SELECT id FROM knowledge_version WHERE status <> 'ready' OR claim IS NOT NULL OR NOT keeps_passages""",
    "contents that are there twice": """
        SELECT content_sha256 FROM knowledge_version GROUP BY creator_id, content_sha256
        HAVING count(DISTINCT document_id) > 1""",
    "documents with a second version": """
        SELECT document_id FROM knowledge_version GROUP BY document_id HAVING count(*) > 1""",
    "stages that are not done": "SELECT id FROM knowledge_stage WHERE state <> 'done'",
    "versions without their seven stages": """
        SELECT version.id FROM knowledge_version AS version LEFT JOIN knowledge_stage AS stage
            ON stage.version_id = version.id
        GROUP BY version.id HAVING count(DISTINCT stage.name) <> 7 OR count(*) <> 7""",
    "versions whose passages are not one for each position": """
        SELECT version.id FROM knowledge_version AS version LEFT JOIN knowledge_chunk AS chunk
            ON chunk.version_id = version.id
        GROUP BY version.id, version.chunk_count
        HAVING count(chunk.id) <> version.chunk_count OR count(chunk.id) = 0
            OR count(DISTINCT chunk.position) <> count(chunk.id)
            OR max(chunk.position) - min(chunk.position) + 1 <> count(chunk.id)""",
    "passages without meaning or words": """
        SELECT chunk.id FROM knowledge_chunk AS chunk LEFT JOIN knowledge_vector AS vector
            ON vector.version_id = chunk.version_id AND vector.position = chunk.position
        WHERE vector.id IS NULL OR chunk.lexemes IS NULL""",
    "meanings without a passage": """
        SELECT vector.id FROM knowledge_vector AS vector LEFT JOIN knowledge_chunk AS chunk
            ON chunk.version_id = vector.version_id AND chunk.position = vector.position
        WHERE chunk.id IS NULL""",
    "versions or meanings that answer and should not, or the other way round": """
        SELECT version.id FROM knowledge_version AS version
            JOIN knowledge_document AS document ON document.id = version.document_id
            LEFT JOIN knowledge_vector AS vector ON vector.version_id = version.id
        WHERE version.live IS DISTINCT FROM (version.number = document.live_version)
            OR vector.live IS DISTINCT FROM version.live""",
    "versions that answer and whose words are not counted": """
        SELECT version.id FROM knowledge_version AS version
        WHERE version.live AND (version.ordinal IS NULL OR version.indexed_passages <> (
            SELECT count(*) FROM knowledge_chunk AS chunk WHERE chunk.version_id = version.id AND NOT chunk.hidden))""",
    "passages of a version that keeps none": """
        SELECT chunk.id FROM knowledge_chunk AS chunk JOIN knowledge_version AS version ON version.id = chunk.version_id
        WHERE NOT version.keeps_passages""",
    "jobs that are left": """
        SELECT id FROM procrastinate_jobs WHERE task_name = 'knowledge.process_version'""",
}
_UNFINISHED = """
    SELECT (SELECT count(*) FROM knowledge_version WHERE status IN ('queued', 'processing'))
         + (SELECT count(*) FROM procrastinate_jobs
             WHERE task_name = 'knowledge.process_version' AND status IN ('todo', 'doing')),
           (SELECT count(*) FROM knowledge_stage WHERE state = 'done')
"""


def unfinished(hub: OwnHub) -> tuple[int, int]:
    """How many versions and jobs are not finished, and how many stages are: the latter only grows."""
    with psycopg.connect(hub.database_url) as connection:
        left, done = connection.execute(_UNFINISHED).fetchone() or (0, 0)
        return int(left), int(done)


def violations(hub: OwnHub, acknowledged: Mapping[str, tuple[Paper, dict[str, str]]]) -> list[str]:
    """What is not as it must be, in words. `acknowledged`: by document, the paper and whose headers brought it."""
    with psycopg.connect(hub.database_url) as connection:
        found = [
            f"{len(rows)} {what}, the first {rows[0][0]}"
            for what, query in _BROKEN.items()
            if (rows := connection.execute(query).fetchall())
        ]
        there = {str(row[0]) for row in connection.execute("SELECT id FROM knowledge_document")}
    found += [
        f"lost: {paper.name}, acknowledged as {key}" for key, (paper, _) in acknowledged.items() if key not in there
    ]
    found += [f"nobody was told of document {key}" for key in there - set(acknowledged)]
    found += [f"a file is missing: {path}" for path in claimed_files(hub) - stored_files(hub)]
    found += [f"a file that no row names: {path}" for path in orphans(hub)]
    return found + list(_not_found(hub, acknowledged))


def orphans(hub: OwnHub) -> set[str]:
    """Stored files that no version names."""
    return stored_files(hub) - claimed_files(hub)


def claimed_files(hub: OwnHub) -> set[str]:
    with psycopg.connect(hub.database_url) as connection:
        return {row[0] for row in connection.execute("SELECT storage_path FROM knowledge_version")}


def stored_files(hub: OwnHub) -> set[str]:
    root = Path(hub.data) / "media"
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def _not_found(hub: OwnHub, acknowledged: Mapping[str, tuple[Paper, dict[str, str]]]) -> Iterator[str]:
    for document_id, (paper, headers) in acknowledged.items():
        answer = hub.client.get("/api/v1/search", headers=headers, params={"q": paper.word})
        results = answer.json().get("results", []) if answer.status_code == 200 else []
        if document_id not in [result["document_id"] for result in results]:
            yield f"no search finds {paper.name} ({answer.status_code})"
