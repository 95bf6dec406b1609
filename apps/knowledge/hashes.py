"""What tells texts apart in the tables: not a secret, and no name of anything outside."""

from hashlib import md5
from uuid import UUID


def text_hash(text: str) -> UUID:
    """The MD5 hash of a text in UTF-8, as a UUID; in Postgres `md5(text)::uuid`."""
    return UUID(md5(text.encode(), usedforsecurity=False).hexdigest())


def embedder_hash(name: str) -> UUID:
    """Tells embedders apart without their names, which may hold an address that is no creator's business."""
    return text_hash(name)
