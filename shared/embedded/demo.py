"""`make demo`: what an app would do with a running hub, over the REST API and nothing else.

Registers a creator (once: the sign-in is kept in `.hub/demo.json`), uploads files, watches them become searchable, and
searches. Made for people to read, so it ends with the sign-in for the dashboard.
"""

import argparse
import json
import os
import secrets
import sys
import textwrap
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from shared.config.env_constants import PROJECT_ROOT, get_env_value
from shared.embedded import places

OWN_FILES = Path(__file__).with_name("demo_files")
OWN_QUESTIONS = (
    "how can I calm down before a talk?",
    "can I get my money back for a course?",
    "confidentiality notes employer",
)
KEPT = PROJECT_ROOT / ".hub" / "demo.json"
STAGES = ("store", "scan", "extract", "chunk", "embed", "index", "verify")
BAR_WIDTH = 20
POLL_SECONDS = 0.3
PATIENCE_SECONDS = 5
STARTING_SECONDS = 120
FINAL = {"ready", "failed", "cancelled"}


class DemoFailed(Exception):
    """The demo cannot go on."""


@dataclass
class Upload:
    """One file on its way."""

    path: Path
    state: dict[str, Any] = field(default_factory=dict)
    refusal: str = ""
    shown: str = ""

    @property
    def finished(self) -> bool:
        return bool(self.refusal) or self.state.get("status") in FINAL


class Api:
    """A client as an app would write it: it waits when it is told to, and repeats what got lost."""

    def __init__(self, base: str) -> None:
        # Straight to the hub, whatever proxy the surroundings name.
        self._client = httpx.Client(base_url=f"{base}/api/v1", timeout=60, trust_env=False)

    def call(self, method: str, path: str, *, tries: int = 5, **options: Any) -> httpx.Response:
        """One request. A 429 or 503 is repeated after the time that it names, under the same key."""
        headers = {"Idempotency-Key": str(uuid.uuid4())} if method == "POST" else {}
        for left in range(tries - 1, -1, -1):
            try:
                response = self._client.request(method, path, headers=headers, **options)
            except httpx.TransportError as error:
                if not left:
                    raise DemoFailed(f"The hub at {self._client.base_url} does not answer ({error}).") from error
                time.sleep(1)
                continue
            if response.status_code not in {429, 503} or not left:
                return response
            time.sleep(min(float(response.headers.get("Retry-After", "1")), 60))
        raise AssertionError

    def sign_in(self, token: str) -> None:
        self._client.headers["Authorization"] = f"Bearer {token}"


def main() -> None:
    options = _options()
    base = options.url or f"http://localhost:{get_env_value('PORT', fallback=True)}"
    files = _files(options.files)
    api = Api(base)
    _wait_for(base)
    email, password = _become_creator(api, base)
    print(f"Signed in as {email}.\n")
    uploads = [_upload(api, path) for path in files]
    _watch(api, uploads)
    questions = [options.query] if options.query else OWN_QUESTIONS if not options.files else ()
    _search(api, uploads, questions)
    print(f"\nSee it in the dashboard: {base}/sign-in\n  email     {email}\n  password  {password}")


def _wait_for(base: str) -> None:
    """Return when the hub answers. One of this checkout that is still starting is waited for."""
    started = time.monotonic()
    while True:
        try:
            httpx.get(f"{base}/health/live", timeout=5, trust_env=False).raise_for_status()
            return
        except httpx.HTTPError as error:
            patience = STARTING_SECONDS if _launcher_runs() else PATIENCE_SECONDS
            if time.monotonic() - started > patience:
                raise DemoFailed(
                    f"No hub answers at {base} ({error}). Start it in another terminal with make run; "
                    "one on another port is found with make demo PORT=..."
                ) from error
        time.sleep(POLL_SECONDS)


def _launcher_runs() -> bool:
    try:
        with places.Lock(KEPT.with_name("lock")):
            return False
    except places.Busy:
        return True
    except OSError:  # no .hub here: the hub runs elsewhere
        return False


def _become_creator(api: Api, base: str) -> tuple[str, str]:
    """Sign in as the creator of the last demo, or register one."""
    kept = _kept().get(base)
    if kept:
        answer = api.call("POST", "/auth/login", json={"email": kept["email"], "password": kept["password"]})
        if answer.status_code == 200:
            api.sign_in(answer.json()["access_token"])
            return kept["email"], kept["password"]
    email = f"demo-{secrets.token_hex(4)}@example.com"
    password = secrets.token_urlsafe(15)
    answer = api.call(
        "POST", "/auth/register", json={"email": email, "password": password, "display_name": "Demo Coaching"}
    )
    if answer.status_code != 201:
        raise DemoFailed(f"Registering was refused: {_problem(answer)}")
    api.sign_in(answer.json()["access_token"])
    _keep(base, email, password)
    return email, password


def _upload(api: Api, path: Path) -> Upload:
    upload = Upload(path)
    answer = api.call("POST", "/documents", files={"file": (path.name, path.read_bytes())})
    if answer.status_code in {200, 202}:
        upload.state = answer.json()
        known = " (the hub has it already)" if answer.status_code == 200 else ""
        print(f"  uploaded  {path.name}{known}")
    else:
        upload.refusal = _problem(answer)
        print(f"  refused   {path.name}: {upload.refusal}")
    return upload


def _watch(api: Api, uploads: list[Upload]) -> None:
    """Show every document's way until each has ended. On a terminal the lines move; elsewhere changes are printed."""
    print()
    moving = sys.stdout.isatty()
    drawn = False
    while True:
        for upload in uploads:
            if not upload.finished:
                upload.state = _checked(api.call("GET", f"/documents/{upload.state['id']}"))
        if moving and drawn:
            print(f"\033[{len(uploads)}A", end="")
        for upload in uploads:
            line = _line(upload)
            if moving:
                print(f"\033[2K{line[: os.get_terminal_size().columns - 1]}")
            elif line != upload.shown:
                print(line, flush=True)
            upload.shown = line
        drawn = True
        if all(upload.finished for upload in uploads):
            return
        time.sleep(POLL_SECONDS)


def _line(upload: Upload) -> str:
    status = "refused" if upload.refusal else upload.state.get("status", "queued")
    share = 1.0 if status == "ready" else _share(upload.state)
    bar = "#" * round(share * BAR_WIDTH)
    return f"  [{bar:.<{BAR_WIDTH}}] {status:<10} {upload.path.name}  {_remark(upload)}".rstrip()


def _share(state: dict[str, Any]) -> float:
    """How far it is, from 0 to 1: every stage counts the same, and the current one by its own progress."""
    stage = state.get("stage") or ""
    if stage not in STAGES:
        return 0.0
    total = state.get("progress_total") or 0
    within = (state.get("progress_done") or 0) / total if total else 0.0
    return (STAGES.index(stage) + within) / len(STAGES)


def _remark(upload: Upload) -> str:
    state = upload.state
    if upload.refusal:
        return upload.refusal
    if state.get("status") == "failed":
        return " ".join(filter(None, (state.get("failure_sentence"), state.get("failure_action"))))
    if state.get("status") == "ready":
        pages = state.get("page_count")
        return _counted(state.get("chunk_count") or 0, "passage") + (f", {_counted(pages, 'page')}" if pages else "")
    return str(state.get("stage") or "")


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" + ("" if number == 1 else "s")


def _search(api: Api, uploads: list[Upload], questions: tuple[str, ...] | list[str]) -> None:
    """Ask the given questions of everything; without any, ask each ready document for its own title."""
    for question in questions:
        _print_results(_checked(api.call("GET", "/search", params={"q": question, "limit": 3})))
    if questions:
        return
    for upload in uploads:
        if upload.state.get("status") == "ready":
            asked = {"q": upload.path.stem.replace("-", " "), "limit": 1, "document_id": upload.state["id"]}
            _print_results(_checked(api.call("GET", "/search", params=asked)))


def _print_results(found: dict[str, Any]) -> None:
    print(f'\nSearch "{found["query"]}" ({found["took_ms"]} ms)')
    if not found["results"]:
        print("  nothing found")
    for result in found["results"]:
        where = [f"page {result['page']}"] if result.get("page") else []
        where += [result["heading"]] if result.get("heading") else []
        print(f"  {result['title']}{', ' if where else ''}{', '.join(where)}  ({result['score']:.2f})")
        text = " ".join(result["text"].split())
        print(
            textwrap.fill(
                textwrap.shorten(text, 240, placeholder=" ..."), 100, initial_indent="    ", subsequent_indent="    "
            )
        )


def _checked(answer: httpx.Response) -> dict[str, Any]:
    if answer.status_code != 200:
        raise DemoFailed(f"{answer.request.url.path} answered {answer.status_code}: {_problem(answer)}")
    body: dict[str, Any] = answer.json()
    return body


def _problem(answer: httpx.Response) -> str:
    try:
        problem = answer.json()
        fields = "; ".join(f"{error['field']}: {error['message']}" for error in problem.get("errors") or ())
        return f"{problem['detail']} {fields}".strip()
    except (ValueError, KeyError, TypeError):
        return f"status {answer.status_code}"


def _files(named: list[str]) -> list[Path]:
    """The named files, and what is in the named folders; else the demo's own."""
    files: list[Path] = []
    for path in map(Path, named or [str(OWN_FILES)]):
        if not path.exists():
            raise DemoFailed(f"There is no file {path}.")
        files += sorted(inner for inner in path.iterdir() if inner.is_file()) if path.is_dir() else [path]
    return files


def _kept() -> dict[str, Any]:
    try:
        kept: dict[str, Any] = json.loads(KEPT.read_text())
    except (OSError, ValueError):
        return {}
    return kept


def _keep(base: str, email: str, password: str) -> None:
    everything = _kept() | {base: {"email": email, "password": password}}
    try:
        descriptor = os.open(KEPT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError:  # a hub that runs elsewhere, and no folder here to remember it in
        return
    with os.fdopen(descriptor, "w") as file:
        json.dump(everything, file)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description="Try a running hub over its REST API.")
    parser.add_argument("files", nargs="*", help="files or folders to upload; else the demo's own")
    parser.add_argument("--query", default="", help="what to search for")
    parser.add_argument("--url", default="", help="where the hub is, if not on this machine's PORT")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except DemoFailed as failure:
        sys.exit(f"The demo stopped. {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
