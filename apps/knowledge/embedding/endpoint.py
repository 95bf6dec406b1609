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


class EmbeddingUnavailable(ServiceUnavailable):
    """The embedding service does not answer. Try again in a moment."""

    code = "embedding_unavailable"


class EndpointEmbedder:
    """`POST {url}/embeddings`. Needs a model that can give 384 dimensions."""

    def __init__(
        self, url: str, *, model: str, key: str | None, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self.url = f"{url.rstrip('/')}/embeddings"
        self.model = model
        self.name = f"{self.url} {model}"
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._transport = transport

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder`. A client per call: the event loop that made it may be gone at the next."""
        rows: list[Vectors] = [np.zeros((0, DIMENSIONS), dtype=np.float32)]
        async with httpx.AsyncClient(headers=self._headers, timeout=_SECONDS, transport=self._transport) as client:
            for start in range(0, len(texts), _BATCH):
                rows.append(await self._ask(client, texts[start : start + _BATCH]))
        return np.concatenate(rows)

    async def _ask(self, client: httpx.AsyncClient, texts: Sequence[str]) -> Vectors:
        question = {"model": self.model, "input": list(texts), "dimensions": DIMENSIONS}
        try:
            answer = await client.post(self.url, json=question)
            answer.raise_for_status()
            vectors = _read(answer.json())
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise EmbeddingUnavailable from error
        if vectors.shape != (len(texts), DIMENSIONS) or not np.isfinite(vectors).all():
            raise EmbeddingUnavailable(f"The embedding service does not give {DIMENSIONS} numbers for each text.")
        return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9))


def _read(answer: Any) -> Vectors:
    rows = sorted(answer["data"], key=lambda row: row["index"])
    return np.array([row["embedding"] for row in rows], dtype=np.float32)
