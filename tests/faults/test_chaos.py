"""`make chaos` in short: whatever is killed, no upload that was acknowledged is lost, twice or stuck.

Its full disk is not here: only root may mount a small one. `test_upload` has what an upload does then.
"""

import random

import psycopg
import pytest

from benchmarks.chaos import Chaos
from benchmarks.chaos_checks import orphans, violations
from shared.embedded.testing import temporary_servers
from tests.faults.own_hub import OwnHub

LOOSE = dict.fromkeys(("LIMIT_UPLOAD", "LIMIT_SEARCH", "LIMIT_REGISTER"), "100000000/60")


@pytest.fixture(scope="module")
def chaos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chaos")
    with temporary_servers(careless=False) as servers:
        hub = OwnHub(servers, folder / "data", log=folder / "hub.log", **LOOSE)
        try:
            yield Chaos(hub, seed=random.SystemRandom().randrange(10**6))
        finally:
            hub.stop()


def test_a_worker_killed_three_times_loses_and_repeats_nothing(chaos):
    chaos.kill_workers(kills=3, documents=12)

    assert chaos.failures == []
    assert len(chaos.acknowledged) == 12


def test_postgres_stopped_at_once_forgets_nothing_that_was_acknowledged(chaos):
    before = len(chaos.acknowledged)

    chaos.stop_postgres(documents=6)

    assert chaos.failures == []
    assert len(chaos.acknowledged) == before + 6


# What the checks must see, each in a document that was whole.
_VERSION = "(SELECT id FROM knowledge_version WHERE document_id = %s)"
HARMS = {
    "documents that are not ready": "UPDATE knowledge_document SET status = 'processing' WHERE id = %s",
    "still claimed": "UPDATE knowledge_version SET claim = gen_random_uuid() WHERE document_id = %s",
    "with a second version": """
        INSERT INTO knowledge_version SELECT (jsonb_populate_record(version, jsonb_build_object(
            'id', gen_random_uuid(), 'number', 2, 'ordinal', null, 'live', false))).*
        FROM knowledge_version AS version WHERE document_id = %s""",
    "stages that are not done": f"""
        UPDATE knowledge_stage SET state = 'running' WHERE position = 4 AND version_id = {_VERSION}""",
    "their seven stages": f"DELETE FROM knowledge_stage WHERE position = 4 AND version_id = {_VERSION}",
    "one for each position": "UPDATE knowledge_version SET chunk_count = chunk_count + 1 WHERE document_id = %s",
    "without meaning": f"DELETE FROM knowledge_vector WHERE version_id = {_VERSION}",
    "meanings without a passage": f"UPDATE knowledge_vector SET position = position + 99 WHERE version_id = {_VERSION}",
    "that answer and should not": "UPDATE knowledge_version SET live = false WHERE document_id = %s",
    "words are not counted": "UPDATE knowledge_version SET indexed_passages = 0 WHERE document_id = %s",
    "that keeps none": "UPDATE knowledge_version SET keeps_passages = false WHERE document_id = %s",
    "a file is missing": "UPDATE knowledge_version SET storage_path = 'elsewhere' WHERE document_id = %s",
    "a file that no row names": "UPDATE knowledge_version SET storage_path = 'elsewhere' WHERE document_id = %s",
    "no search finds": "UPDATE knowledge_chunk SET hidden = true WHERE document_id = %s",
    "lost:": "DELETE FROM knowledge_document WHERE id = %s",
    "contents that are there twice": """
        UPDATE knowledge_version SET content_sha256 = (SELECT min(content_sha256) FROM knowledge_version AS other
            WHERE other.creator_id = knowledge_version.creator_id AND other.id <> knowledge_version.id)
        WHERE document_id = %s""",
}


@pytest.fixture
def harmed(chaos):
    """A document that is whole, for a test to harm; nothing of it is left afterwards."""
    uploading = chaos.uploader(1)
    uploading.join()
    ((document_id, (paper, headers)),) = uploading.acknowledged.items()
    chaos.hub.wait_ready(headers, document_id)
    chaos.acknowledged[document_id] = (paper, headers)
    yield document_id
    with psycopg.connect(chaos.hub.database_url) as connection:
        connection.execute("DELETE FROM knowledge_document WHERE id = %s", [document_id])
    for path in orphans(chaos.hub):
        (chaos.hub.data / "media" / path).unlink()
    del chaos.acknowledged[document_id]


@pytest.mark.parametrize("sentence", HARMS)
def test_each_harm_is_seen(chaos, harmed, sentence):
    with psycopg.connect(chaos.hub.database_url) as connection:
        connection.execute(HARMS[sentence], [harmed])

    found = violations(chaos.hub, chaos.acknowledged)

    assert any(sentence in violation for violation in found), found
