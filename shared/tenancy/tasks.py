"""Jobs that carry their creator. A job is a row of the queue, written in the transaction of the service that asks."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from django.db import transaction
from procrastinate import RetryStrategy
from procrastinate.contrib.django import app
from procrastinate.exceptions import ConnectorException
from structlog.contextvars import bound_contextvars

from shared.tenancy.actor import Actor
from shared.tenancy.scope import ScopeSwitch, creator_scope, require_creator


class TenantTask:
    """A task whose first argument is the actor. Ids in, safe to run twice: a killed worker's job runs again."""

    def __init__(self, name: str, function: Callable[..., Awaitable[None]], retry: int) -> None:
        self.name = name
        self.function = function
        strategy = RetryStrategy(max_attempts=retry, wait=1, exponential_wait=2) if retry else False
        app.task(name=name, retry=strategy)(self.run)

    async def run(self, *, actor: dict[str, str], **arguments: Any) -> None:
        """What the worker calls: open the creator's scope for exactly this job."""
        who = Actor.from_job(actor)
        bound = bound_contextvars(
            creator_id=str(who.creator_id), user_id=str(who.user_id), request_id=None, task=self.name
        )
        with creator_scope(who.creator_id), bound:
            await self.function(who, **arguments)

    def defer(
        self,
        actor: Actor,
        *,
        lock: str | None = None,
        priority: int = 0,
        schedule_at: datetime | None = None,
        **arguments: str | int,
    ) -> int:
        """Queue the job in the transaction that is open; when that rolls back there never was a job.

        Of those that wait, jobs of higher priority are done first. Returns the job's number. Raises `ScopeSwitch` when
        the actor serves another creator than the one in scope.
        """
        if actor.creator_id != require_creator():
            raise ScopeSwitch("A job is queued by the creator that it serves.")
        if not transaction.get_connection().in_atomic_block:
            raise RuntimeError("defer() is for services: call the service through run_as()")
        try:
            task = app.configure_task(self.name, lock=lock, priority=priority, schedule_at=schedule_at)
            return task.defer(actor={**actor.to_job()}, **arguments)
        except ConnectorException as error:
            # The doors know the database's own errors: it is gone, it is busy, it refuses.
            raise error.__cause__ or error from None


def tenant_task(name: str, *, retry: int = 0) -> Callable[[Callable[..., Awaitable[None]]], TenantTask]:
    """Make a coroutine function `f(actor, *, ...)` a job. `retry` is how often it may be tried again."""

    def decorate(function: Callable[..., Awaitable[None]]) -> TenantTask:
        return TenantTask(name, function, retry)

    return decorate
