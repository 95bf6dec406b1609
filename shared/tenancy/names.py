"""Names of everything that creators share: cache keys, channel groups, locks, storage paths.

Each carries the creator in scope, so two creators cannot mean the same thing by the same word. Nothing else in the
code builds such a name.
"""

from hashlib import blake2b
from typing import Any
from uuid import UUID

from django.core.exceptions import SuspiciousFileOperation

from shared.tenancy.scope import current_creator, require_creator


def cache_key(key: str, key_prefix: str = "", version: Any = 1) -> str:
    """The cache's own key function (`CACHES[...]["KEY_FUNCTION"]`): no caller can leave the creator out.

    In a scope the key is that creator's; outside it belongs to nobody, and no creator can read it.
    """
    creator = current_creator()
    owner = f"creator.{creator.hex}" if creator else "global"
    return f"{key_prefix}:{owner}:{version}:{key}"


def memory_key(*parts: Any) -> tuple[Any, ...]:
    """The key of something that a process keeps in memory for the creator in scope."""
    return (require_creator(), *parts)


def group_name(kind: str) -> str:
    """The channel group of the creator in scope for one kind of news, such as `events`."""
    return f"creator.{require_creator().hex}.{kind}"


def lock_key(*parts: object) -> int:
    """The number of an advisory lock, 64 bits signed as Postgres takes it, for the creator in scope."""
    return global_lock_key(require_creator().hex, *parts)


def global_lock_key(*parts: object) -> int:
    """The number of an advisory lock that belongs to no creator."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big", signed=True)


def storage_path(*parts: str | UUID) -> str:
    """A path in storage below the creator in scope, made of ids and plain words only, never of a client's names.

    Raises `SuspiciousFileOperation` for a part that could climb out.
    """
    names = [part.hex if isinstance(part, UUID) else part for part in parts]
    for name in names:
        if not name or not name.replace("-", "").replace("_", "").isalnum() or not name.isascii():
            raise SuspiciousFileOperation(f"not a part of a storage path: {name!r}")
    return "/".join(["creators", require_creator().hex, *names])


def own_path(path: str) -> str:
    """A stored path, if it lies below the creator in scope. Whoever opens or deletes a file asks here first.

    Raises `SuspiciousFileOperation` for another creator's, whichever row or job it came from.
    """
    if not path.startswith(f"creators/{require_creator().hex}/") or ".." in path:
        raise SuspiciousFileOperation("this path belongs to somebody else")
    return path
