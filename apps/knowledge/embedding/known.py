"""The models that the configuration names, as services and creators may know them: without addresses and keys."""

from dataclasses import dataclass
from uuid import UUID

from apps.knowledge.embedding import available_embedders
from apps.knowledge.golden import model_label
from apps.knowledge.hashes import embedder_hash


@dataclass(frozen=True, slots=True)
class KnownModel:
    """An embedding model that is configured, by the hash of its embedder's name."""

    id: UUID
    label: str


def known_models() -> list[KnownModel]:
    """All that are configured, the primary one first."""
    return [KnownModel(embedder_hash(one.name), model_label(one.name)) for one in available_embedders()]
