"""The creator on whose behalf the current code runs.

A `ContextVar`, so that it follows a request through tasks and threads and never leaks into the next one.
Everything that carries a creator (statements, cache keys, groups, paths) asks here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from uuid import UUID

from shared.exceptions import HubError

_creator: ContextVar[UUID | None] = ContextVar("creator", default=None)


class NoCreatorInScope(HubError):
    """Tenant data was touched outside a creator's scope. Call the service through run_as()."""

    code = "no_creator_in_scope"


class ScopeSwitch(HubError):
    """Another creator's scope is already open. One piece of work serves one creator."""

    code = "scope_switch"


def current_creator() -> UUID | None:
    """The creator in scope, or None."""
    return _creator.get()


def require_creator() -> UUID:
    """The creator in scope. Raises `NoCreatorInScope` when there is none."""
    creator = _creator.get()
    if creator is None:
        raise NoCreatorInScope
    return creator


@contextmanager
def creator_scope(creator_id: UUID) -> Iterator[UUID]:
    """Open a creator's scope; entering it again is fine, entering another's inside raises `ScopeSwitch`.

    Only a `UUID` is taken: a string would have been parsed somewhere, and that place should have said so.
    """
    if not isinstance(creator_id, UUID):
        raise TypeError(f"a creator is named by a UUID, not by {type(creator_id).__name__}")
    outer = _creator.get()
    if outer is not None and outer != creator_id:
        raise ScopeSwitch
    token = _creator.set(creator_id)
    try:
        yield creator_id
    finally:
        _creator.reset(token)
