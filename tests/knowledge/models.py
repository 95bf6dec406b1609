"""Two embedding models in tests: the words' one that answers, and another that is configured as the next."""

from zlib import crc32

import numpy as np
from asgiref.sync import async_to_sync

from apps.knowledge import filling, regression
from apps.knowledge.hashes import embedder_hash
from apps.knowledge.models import Vector
from shared.tenancy.scope import creator_scope
from tests.knowledge.conftest import WordEmbedder
from tests.knowledge.golden import runs

URL = "/api/v1/search"


class Letters(WordEmbedder):
    """Texts that begin with the same letters are near each other; it remembers what it was asked.

    It has more dimensions than the other, and more than Postgres keeps in a row unless it is told to.
    """

    name = "http://models.internal/v1 letters"
    dimensions = 1536

    def __init__(self):
        self.asked = []

    async def embed(self, texts):
        self.asked.append(list(texts))
        vectors = np.full((len(texts), self.dimensions), 1e-6, dtype=np.float32)
        for row, text in enumerate(texts):
            for word in text.lower().split():
                vectors[row, crc32(word[:2].encode()) % self.dimensions] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


WORDS, LETTERS = embedder_hash(WordEmbedder.name), embedder_hash(Letters.name)


def fill(person):
    """What the worker would do with the job that the clock queues."""
    async_to_sync(filling.run)(person.actor)


def vectors(person, model, **wanted):
    """How many vectors of a model a creator has."""
    with creator_scope(person.creator.id):
        return Vector.objects.filter(model=model, **wanted).count()


def listed(client, person):
    """What the list of models says, by the model's label."""
    answer = client.get(f"{URL}/models", headers=person.headers)
    assert answer.status_code == 200, answer.content
    return {item["label"]: item for item in answer.json()["items"]}


def answering(client, person):
    (label,) = [label for label, item in listed(client, person).items() if item["answers"]]
    return label


def switch(client, person, model):
    body = {"model": str(model)}
    return client.put(f"{URL}/model", body, content_type="application/json", headers=person.headers)


def switched(client, person, model):
    answer = switch(client, person, model)
    assert answer.status_code == 200, answer.content
    return answer.json()["items"]


def try_model(client, person, model):
    return client.post(f"{URL}/models/{model}/trial", headers=person.headers)


def comparison(client, person, model):
    return client.get(f"{URL}/models/{model}/trial", headers=person.headers)


def do_trials(person):
    """Do every trial that waits, as the worker would; returns them as they are then."""
    waiting = runs(person, state="queued", trial=True)
    for run in waiting:
        async_to_sync(regression.run)(person.actor, run.id)
    return [run for run in runs(person, trial=True) if run.id in {one.id for one in waiting}]


def found(client, person, q="refunds", **query):
    answer = client.get("/api/v1/search", {"q": q, **query}, headers=person.headers)
    assert answer.status_code == 200, answer.content
    return [hit["text"] for hit in answer.json()["results"]]
