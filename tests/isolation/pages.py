"""Every page, read from the URL configuration, and how the owner of Acme opens it with success."""

import re

from django.urls import URLResolver, get_resolver

from tests.isolation.operations import MODEL, Call, Id, Operation
from tests.isolation.world import FILENAME, HEADING, QUERY, TAG, TEXT, TITLE, UNANSWERED

HANDBOOK = {"document_id": Id("handbook")}
DRAFT = {"document_id": Id("draft")}
PASSAGE = HANDBOOK | {"passage_id": Id("chunk")}
EMPTY_ZIP = b"PK\x05\x06" + b"\x00" * 18
NEW_TEXT = ("notes.txt", b"A new text that nobody has brought before.")
QUESTION = {"q": "tuned twice a year"}
GOLDEN = {"question_id": Id("golden")}

# Each route, with every way it is called. Routes of operations are in `operations.py`, the admin's in its own test.
PAGES = {
    "": [("GET", Call(302))],
    "register": [("GET", Call(302))],
    "sign-in": [("GET", Call(302))],
    "sign-out": [("POST", Call(302))],
    "documents": [
        ("GET", Call(200, shows=(TITLE, FILENAME, TAG))),
        ("GET", Call(200, query={"q": "handbook", "status": "ready"}, shows=(TITLE,))),
        ("POST", Call(302, form={"file": NEW_TEXT})),
        ("POST", Call(302, form={"file": ("notes.zip", EMPTY_ZIP)})),
    ],
    "documents/from-address": [("POST", Call(302, form={"url": "https://example.com/notes.txt"}))],
    "documents/imports/{import_id}": [("GET", Call(200, {"import_id": Id("import")}, shows=(FILENAME, HEADING)))],
    "documents/{document_id}": [("GET", Call(200, HANDBOOK, shows=(TITLE, FILENAME)))],
    "documents/{document_id}/row": [("GET", Call(200, HANDBOOK, shows=(TITLE,)))],
    "documents/{document_id}/content": [
        ("GET", Call(200, HANDBOOK, shows=(TEXT, HEADING))),
        ("GET", Call(200, HANDBOOK, query={"version": "1"}, shows=(TEXT, HEADING))),
    ],
    "documents/{document_id}/delete": [("POST", Call(302, HANDBOOK))],
    "documents/{document_id}/process-again": [("POST", Call(302, HANDBOOK))],
    "documents/{document_id}/cancel": [("POST", Call(302, DRAFT))],
    "documents/{document_id}/versions": [("POST", Call(302, HANDBOOK, form={"file": NEW_TEXT}))],
    "documents/{document_id}/versions/{number}/restore": [("POST", Call(302, HANDBOOK | {"number": "1"}))],
    "documents/{document_id}/passages": [("GET", Call(200, HANDBOOK, shows=(TITLE, TEXT, HEADING)))],
    "documents/{document_id}/passages/{passage_id}": [
        ("POST", Call(302, PASSAGE, form={"text": "It is tuned once a year.", "do": "save"})),
        ("POST", Call(302, PASSAGE, form={"do": "hide"})),
    ],
    "golden-questions": [
        ("GET", Call(200, shows=(TITLE, TEXT, HEADING))),
        ("POST", Call(302, form={"question": "How?", "document": Id("handbook"), "passage": Id("chunk")})),
    ],
    "golden-questions/run": [("POST", Call(302))],
    "golden-questions/{question_id}": [
        ("GET", Call(200, GOLDEN, shows=(TITLE, TEXT, HEADING))),
        ("POST", Call(302, GOLDEN, form={"question": "How?", "document": Id("draft")})),
    ],
    "golden-questions/{question_id}/accept": [("POST", Call(302, GOLDEN))],
    "golden-questions/{question_id}/delete": [("POST", Call(302, GOLDEN))],
    "search/models/{model_id}/choose": [("POST", Call(302, MODEL))],
    "search/models/{model_id}/try": [("POST", Call(302, MODEL))],
    "search": [
        ("GET", Call(200, query=QUESTION, shows=(TITLE,))),
        ("GET", Call(200, query=QUESTION | {"document": Id("handbook")}, shows=(TITLE,))),
    ],
    "search/suggest": [("GET", Call(200, query={"q": TEXT[:5]}, shows=(TEXT,)))],
    "search/{search_id}/click": [
        ("POST", Call(204, {"search_id": Id("search")}, form={"chunk_id": Id("chunk")})),
        ("POST", Call(204, {"search_id": Id("search")}, form={"chunk_id": Id("chunk"), "document_id": Id("handbook")})),
    ],
    "searches": [("GET", Call(200, shows=(QUERY, UNANSWERED, TITLE)))],
    "api/v1/openapi.json": [("GET", Call(200))],
    "api/v1/docs": [("GET", Call(200))],
    "api/v1/": [("GET", Call(404))],
    "health/live": [("GET", Call(200))],
    "health/ready": [("GET", Call(200))],
    "metrics": [("GET", Call(200))],
    "static/{path}": [],
}
# Opens for everybody, and shows everybody the same.
PUBLIC_PAGES = {"register", "sign-in", "health/live", "health/ready", "metrics"}
PUBLIC_PAGES |= {"api/v1/openapi.json", "api/v1/docs", "api/v1/"}


def every_route():
    """Every route of the URL configuration, the admin's and the operations' included."""
    return list(_walk(get_resolver(), ""))


def _walk(resolver, prefix):
    for entry in resolver.url_patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from _walk(entry, route)
        else:
            yield route


def with_braces(route):
    """`<uuid:document_id>` as `{document_id}`."""
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route)


def every_page():
    """All calls of the table, each as `(operation, call)`."""
    return [
        (Operation(method, "/" + route, {"number": number}), call)
        for route, calls in PAGES.items()
        for number, (method, call) in enumerate(calls)
    ]
