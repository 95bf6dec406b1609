"""`manage.py search_models`: which embedding model answers for each creator, and the switch for one or for all."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from asgiref.sync import async_to_sync
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.knowledge.embedding.known import KnownModel, known_models
from apps.knowledge.errors import ModelNotReady
from apps.knowledge.services.search_models import ModelState, choose_model, list_models
from apps.knowledge.tending import every_creator
from shared.tenancy.actor import Actor
from shared.tenancy.run import run_as


class Command(BaseCommand):
    """For the operator. Each creator is looked at in a scope and a transaction of their own."""

    help = "Say how far each embedding model is for each creator; --switch-to lets another one answer."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--creator", type=UUID, help="Only this creator.")
        parser.add_argument("--switch-to", help="The model that shall answer: its id or its name as listed.")

    def handle(self, *args: Any, creator: UUID | None, switch_to: str | None, **options: Any) -> None:
        known = known_models()
        wanted = _wanted(switch_to, known) if switch_to else None
        for model in known:
            self.stdout.write(f"{model.id}  {model.label}")
        seen, unready = async_to_sync(self._each)(known, creator, wanted)
        if not seen and creator is not None:
            raise CommandError(f"There is no creator {creator}.")
        if unready:
            raise CommandError(
                f"{unready} not switched: passages lack vectors. The worker makes them; try again later."
            )

    async def _each(self, known: Sequence[KnownModel], only: UUID | None, wanted: KnownModel | None) -> tuple[int, int]:
        seen = unready = 0
        async for actor in every_creator():
            if only not in (None, actor.creator_id):
                continue
            seen += 1
            try:
                states = await _states(actor, known, wanted)
            except ModelNotReady:
                unready += 1
                states = await _states(actor, known, None)
            self.stdout.write("  ".join([str(actor.creator_id), ", ".join(map(_said, states))]))
        return seen, unready


async def _states(actor: Actor, known: Sequence[KnownModel], wanted: KnownModel | None) -> list[ModelState]:
    if wanted is None:
        return await run_as(actor, list_models, known=known)
    return await run_as(actor, choose_model, model=wanted.id, known=known)


def _said(state: ModelState) -> str:
    return f"{state.label}: {state.passages_done}/{state.passages}{' answers' if state.answers else ''}"


def _wanted(text: str, known: Sequence[KnownModel]) -> KnownModel:
    found = [model for model in known if text in (str(model.id), model.label, model.label.partition(" ")[0])]
    if len(found) != 1:
        raise CommandError(f"No model {text} is configured. There are: {', '.join(model.label for model in known)}.")
    return found[0]
