"""What pages say about searches that people made, in a person's words."""

from dataclasses import dataclass
from datetime import datetime

from apps.knowledge.models import Search


@dataclass(frozen=True, slots=True)
class SearchView:
    """Something that people searched for. `found` is "" where that is nothing; `opened` are titles of documents."""

    query: str
    asked_at: datetime
    found: str
    good: bool
    opened: list[str]


def present_search(search: Search) -> SearchView:
    """A search of the list, each document that was opened from it once."""
    opened = {click.document_id: click.document.title for click in search.opened}
    return SearchView(search.query, search.asked_at, _found(search.results), search.good, list(opened.values()))


def _found(results: int) -> str:
    if not results:
        return ""
    return "1 passage" if results == 1 else f"{results} passages"
