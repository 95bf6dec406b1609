"""Any endpoint that speaks OpenAI's embedding API, instead of the model that comes along."""

from collections.abc import Sequence
from typing import Any

import httpx
import numpy as np

from apps.knowledge.embedding import Vectors
from apps.knowledge.embedding.dimensions import DIMENSIONS
from shared.exceptions import ServiceUnavailable

_SECONDS = 30.0
_BATCH = 64
# What servers say to a parameter that they do not know, or that their model cannot follow.
_REFUSED = (400, 422)


class EmbeddingUnavailable(ServiceUnavailable):
    """The embedding service does not answer. Try again in a moment."""

    code = "embedding_unavailable"


class EndpointEmbedder:
    """`POST {url}/embeddings`.

    It is asked for `dimensions` numbers, as models that can be shortened understand it. One that answers 400 or 422 to
    that is asked without, and has to give as many by itself.
    """

    def __init__(
        self,
        url: str,
        *,
        model: str,
        key: str | None,
        dimensions: int = DIMENSIONS,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.url = f"{url.rstrip('/')}/embeddings"
        self.model = model
        self.dimensions = dimensions
        # The usual number goes without saying: vectors were made before there were others.
        self.name = f"{self.url} {model}" + ("" if dimensions == DIMENSIONS else f" ({dimensions})")
        self._length: dict[str, Any] = {"dimensions": dimensions}
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._transport = transport

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder`. A client per call: the event loop that made it may be gone at the next."""
        rows: list[Vectors] = [np.zeros((0, self.dimensions), dtype=np.float32)]
        async with httpx.AsyncClient(headers=self._headers, timeout=_SECONDS, transport=self._transport) as client:
            for start in range(0, len(texts), _BATCH):
                rows.append(await self._ask(client, texts[start : start + _BATCH]))
        return np.concatenate(rows)

    async def _ask(self, client: httpx.AsyncClient, texts: Sequence[str]) -> Vectors:
        question = {"model": self.model, "input": list(texts)}
        try:
            answer = await client.post(self.url, json=question | self._length)
            refused = bool(self._length) and answer.status_code in _REFUSED
            if refused:
                answer = await client.post(self.url, json=question)
            answer.raise_for_status()
            vectors = _read(answer.json())
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise EmbeddingUnavailable from error
        if vectors.shape != (len(texts), self.dimensions) or not np.isfinite(vectors).all():
            raise EmbeddingUnavailable(f"The embedding service does not give {self.dimensions} numbers for each text.")
        if refused:
            self._length = {}  # it gives as many by itself, and needs not be asked twice again
        return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9))


def _read(answer: Any) -> Vectors:
    rows = sorted(answer["data"], key=lambda row: row["index"])
    return np.array([row["embedding"] for row in rows], dtype=np.float32)
