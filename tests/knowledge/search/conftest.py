"""Asking over the API, as everybody does."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.fixtures.auth_fixtures import Person


@pytest.fixture
def ask(client: Any) -> Callable[..., Any]:
    """The answer to a search: `ask(alice, "refunds", tag="money")`."""

    def call(person: Person, q: str, **query: Any) -> Any:
        response = client.get("/api/v1/search", {"q": q, **query}, headers=person.headers)
        assert response.status_code == 200, response.content
        return response.json()

    return call


@pytest.fixture
def words_alone(ask: Any) -> Callable[..., Any]:
    """Passages that the words of a question find, best first, with their scores: what meaning finds left out."""

    def call(person: Person, q: str, **query: Any) -> dict[str, float]:
        answer = ask(person, q, limit=100, explain=True, **query)
        return {one["chunk_id"]: one["score"] for one in answer["legs"]["lexical"]}

    return call
