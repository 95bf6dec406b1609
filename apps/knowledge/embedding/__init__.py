"""Meaning as vectors of length 1, from the model that comes along or from an endpoint.

Never called inside a service: it takes processor time or a network, and no transaction waits for either.
"""

from collections.abc import Sequence
from functools import cache
from typing import Protocol
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from apps.knowledge.embedding.dimensions import DIMENSIONS
from apps.knowledge.hashes import embedder_hash
from shared.config.env_constants import BUILT_IN_MODEL, get_env_value

__all__ = [
    "DIMENSIONS",
    "Embedder",
    "Vectors",
    "available_embedders",
    "available_models",
    "current_embedder",
    "embedder_of",
    "passage_text",
    "vector_text",
    "warm_up",
]

type Vectors = NDArray[np.float32]


class Embedder(Protocol):
    """Turns texts into vectors. Two that have one `name` turn one text into one vector."""

    name: str
    dimensions: int

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """One row of length 1 per text, in the order of the texts, shape (len(texts), dimensions).

        Raises `EmbeddingUnavailable` when it cannot be done now.
        """
        ...


_embedder: Embedder | None = None
_next_embedder: Embedder | None = None


def current_embedder() -> Embedder:
    """The primary: the embedder that the configuration names first, made at first need."""
    global _embedder
    if _embedder is None:
        _embedder = _configured("") or _built_in()
    return _embedder


def available_embedders() -> tuple[Embedder, ...]:
    """All that the configuration names: the primary, and the next one where there is another."""
    global _next_embedder
    primary = current_embedder()
    if _next_embedder is None:
        _next_embedder = _configured("NEXT_")
    if _next_embedder is None or _next_embedder.name == primary.name:
        return (primary,)
    return primary, _next_embedder


def available_models() -> list[UUID]:
    """The hashes of all that the configuration names, the primary's first."""
    return [embedder_hash(embedder.name) for embedder in available_embedders()]


def embedder_of(model: UUID | None) -> Embedder:
    """The embedder with this hash; the primary where none is named, or one that is configured no more."""
    if model is None:
        return current_embedder()
    known = available_embedders()
    return next((embedder for embedder in known if embedder_hash(embedder.name) == model), known[0])


async def warm_up() -> None:
    """Load the model that comes along, and the words that it knows, so that the first search does not wait for them.

    Leaves endpoints alone.
    """
    # Imported here: who only names models need not load the tokenizer.
    from apps.knowledge.embedding.files import known_words

    known_words()
    for embedder, prefix in zip(available_embedders(), ("", "NEXT_"), strict=False):
        if not get_env_value(f"{prefix}EMBEDDING_URL", fallback=True):
            await embedder.embed(["ready"])


def _configured(prefix: str) -> Embedder | None:
    # Imported here: the model's users need not load the endpoint's client.
    url = get_env_value(f"{prefix}EMBEDDING_URL", fallback=True)
    model = get_env_value(f"{prefix}EMBEDDING_MODEL", fallback=True)
    if url:
        from apps.knowledge.embedding.endpoint import EndpointEmbedder

        return EndpointEmbedder(
            url,
            model=model,
            key=get_env_value(f"{prefix}EMBEDDING_API_KEY", fallback=True),
            dimensions=get_env_value(f"{prefix}EMBEDDING_DIMENSIONS", fallback=True),
        )
    return _built_in() if prefix and model == BUILT_IN_MODEL else None


def _built_in() -> Embedder:
    # Imported here: the endpoint's users need not load the model's runtime.
    from apps.knowledge.embedding.local import LocalEmbedder

    return LocalEmbedder()


def vector_text(vector: Vectors) -> str:
    """One vector as Postgres reads a `halfvec`: five digits tell any two half-precision numbers apart."""
    return f"[{_digits(len(vector)) % tuple(np.asarray(vector, dtype=np.float16).tolist())}]"


@cache
def _digits(dimensions: int) -> str:
    return ",".join(["%.5g"] * dimensions)


def passage_text(title: str, heading: str, text: str) -> str:
    """What is embedded for a passage: its document's title in front, because a passage alone forgets its subject."""
    lead = title if heading in ("", title) or text.startswith(heading) else f"{title}\n{heading}"
    return f"{lead[:200]}\n{text}"
