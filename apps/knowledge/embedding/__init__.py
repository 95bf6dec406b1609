"""Meaning as vectors: 384 numbers of length 1, from the model that comes along or from an endpoint.

Never called inside a service: it takes processor time or a network, and no transaction waits for either.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from apps.knowledge.embedding.dimensions import DIMENSIONS
from shared.config.env_constants import get_env_value

__all__ = ["DIMENSIONS", "Embedder", "Vectors", "current_embedder", "passage_text", "warm_up"]

type Vectors = NDArray[np.float32]


class Embedder(Protocol):
    """Turns texts into vectors. Two that have one `name` turn one text into one vector."""

    name: str

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """One row of length 1 per text, in the order of the texts, shape (len(texts), DIMENSIONS).

        Raises `EmbeddingUnavailable` when it cannot be done now.
        """
        ...


_embedder: Embedder | None = None


def current_embedder() -> Embedder:
    """The embedder that the configuration names, made at first need."""
    global _embedder
    if _embedder is None:
        _embedder = _configured()
    return _embedder


async def warm_up() -> None:
    """Load the model that comes along, so that the first search does not wait for it. Leaves an endpoint alone."""
    if not get_env_value("EMBEDDING_URL", fallback=True):
        await current_embedder().embed(["ready"])


def _configured() -> Embedder:
    # Imported here: the endpoint's users need not load the model's runtime, and the other way round.
    url = get_env_value("EMBEDDING_URL", fallback=True)
    if url:
        from apps.knowledge.embedding.endpoint import EndpointEmbedder

        return EndpointEmbedder(
            url,
            model=get_env_value("EMBEDDING_MODEL", fallback=True),
            key=get_env_value("EMBEDDING_API_KEY", fallback=True),
        )
    from apps.knowledge.embedding.local import LocalEmbedder

    return LocalEmbedder()


def passage_text(title: str, heading: str, text: str) -> str:
    """What is embedded for a passage: its document's title in front, because a passage alone forgets its subject."""
    lead = title if heading in ("", title) or text.startswith(heading) else f"{title}\n{heading}"
    return f"{lead[:200]}\n{text}"
