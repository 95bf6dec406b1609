"""Every environment variable of the hub: its name, form, default, meaning. Nothing else reads the environment.

`get_env_value("PORT", fallback=True)` is the typed value, or this environment's default.
`python -m shared.config.env_constants` prints `.env.example`.
"""

import base64
import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.config import kinds
from shared.config.kinds import Kind

PROJECT_ROOT = Path(__file__).resolve().parents[2]

type Default = str | Callable[[], str] | None

DEVELOPMENT_LOOSENESS = 100


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable. Defaults are written as text and read like a value that somebody set.

    `required` concerns production only. `default` counts in every environment unless `testing` or
    `development` names another one; None means that the variable may stay absent, and its value is None.
    """

    name: str
    kind: Kind
    default: Default
    meaning: str
    required: bool = False
    secret: bool = False
    development: Default = None
    testing: Default = None

    def default_in(self, environment: str) -> str | None:
        own = {"development": self.development, "testing": self.testing}.get(environment)
        default = self.default if own is None else own
        return default() if callable(default) else default


def _limit(name: str, default: str, meaning: str) -> Variable:
    quota, _, window = default.partition("/")
    loose = f"{int(quota) * DEVELOPMENT_LOOSENESS}/{window}"
    return Variable(name, kinds.allowance(), default, meaning, development=loose)


def _local_signing_key() -> str:
    """A key that stays the same between restarts and follows SECRET_KEY. Never used in production."""
    seed = hashlib.sha256(b"hub token key, not for production:" + get_env_value("SECRET_KEY", fallback=True).encode())
    pkcs8 = bytes.fromhex("302e020100300506032b657004220420") + seed.digest()  # RFC 8410, section 7
    body = base64.b64encode(pkcs8).decode()
    return f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n"


LOCAL_SECRET = "not-a-secret-only-for-development-and-tests-0123456789abcdef"
LOCAL_DATABASE = "postgresql://{role}:{role}@127.0.0.1:5432/hub"
# What NEXT_EMBEDDING_MODEL calls the model that comes along.
BUILT_IN_MODEL = "built-in"
POSTGRES = kinds.url("postgresql", "postgres")
HTTP = kinds.url("http", "https")
# More would not fit into a page of Postgres's with the rest of a row.
DIMENSIONS = kinds.whole(16, 4000)

# One variable a line: a table is read down its columns, so it is not wrapped.
# ruff: noqa: E501
# fmt: off
REGISTRY: tuple[Variable, ...] = (
    Variable("HUB_ENV", kinds.choice("development", "testing", "production"), "development", "Which defaults count, and how strict the start is."),
    # Secrets
    Variable("SECRET_KEY", kinds.long_secret(50), LOCAL_SECRET, "Signs sessions and CSRF tokens, seals stored answers.", required=True, secret=True),
    Variable("JWT_PRIVATE_KEY", kinds.ed25519_pem(), _local_signing_key, "Signs access tokens. Make one: openssl genpkey -algorithm ed25519 | base64 -w0", required=True, secret=True),
    Variable("JWT_PREVIOUS_KEY", kinds.ed25519_pem(), None, "The key before JWT_PRIVATE_KEY, while its last tokens are still good: verifies, signs no more.", secret=True),
    # Database
    Variable("DATABASE_URL", POSTGRES, LOCAL_DATABASE.format(role="hub_app"), "Postgres as hub_app; may go through PgBouncer.", required=True, secret=True),
    Variable("DATABASE_OWNER_URL", POSTGRES, None, "Postgres as hub_owner: migrations only. The web and the worker do without it.", secret=True, development=LOCAL_DATABASE.format(role="hub_owner"), testing=LOCAL_DATABASE.format(role="hub_owner")),
    Variable("DATABASE_ADMIN_URL", POSTGRES, None, "Postgres as a role that may make roles, databases and extensions: python -m shared.embedded.bootstrap only.", secret=True),
    Variable("DATABASE_DIRECT_URL", POSTGRES, lambda: get_env_text("DATABASE_URL"), "Postgres as hub_app without a pooler, for the worker's LISTEN. Default: DATABASE_URL.", secret=True),
    Variable("DATABASE_THREADS", kinds.whole(1, 256), "8", "Threads of one web process that talk to the database."),
    Variable("DATABASE_POOL_SIZE", kinds.whole(1, 256), "8", "Connections that those threads keep at most."),
    Variable("DATABASE_READ_CONNECTIONS", kinds.whole(1, 256), "8", "Connections that one web process reads with beside its threads, at most."),
    Variable("DATABASE_QUEUE", kinds.whole(1, 100_000), "256", "How many requests may wait for a thread, and how many for a connection; the next one is answered with 503 at once."),
    Variable("DATABASE_POOL_TIMEOUT_SECONDS", kinds.whole(1, 120), "2", "How long a request waits for a thread or a connection before it is answered with 503."),
    # Redis
    Variable("REDIS_URL", kinds.url("redis", "rediss", "unix"), "redis://127.0.0.1:6379/0", "Cache, channel layer, rate limits.", required=True, secret=True),
    # Files
    Variable("DATA_DIR", kinds.folder(), str(PROJECT_ROOT / "var"), "What the hub keeps on disk; uploads are under media/.", required=True),
    Variable("STORAGE_BACKEND", kinds.choice("file", "s3"), "file", "Where uploads are kept: in DATA_DIR, or in a bucket."),
    Variable("S3_BUCKET", kinds.text(), None, "The bucket. Needed when STORAGE_BACKEND is s3."),
    Variable("S3_ENDPOINT_URL", HTTP, None, "For S3 that is not Amazon's."),
    Variable("S3_ACCESS_KEY", kinds.text(), None, "Absent: the machine's own role is used.", secret=True),
    Variable("S3_SECRET_KEY", kinds.text(), None, "Absent: the machine's own role is used.", secret=True),
    Variable("S3_REGION", kinds.text(), None, "The bucket's region."),
    Variable("MAX_UPLOAD_BYTES", kinds.size(1, 2**40), "50MiB", "The largest file that is accepted."),
    # Web
    Variable("ALLOWED_HOSTS", kinds.items(), "localhost,127.0.0.1,[::1]", "Host names that the hub answers to.", required=True, testing="localhost,127.0.0.1,[::1],testserver"),
    Variable("PUBLIC_URL", kinds.origin(), lambda: f"http://localhost:{get_env_text('PORT')}", "The origin that people see; forms and websockets must come from it.", required=True),
    Variable("TRUSTED_PROXIES", kinds.networks(), "", "Proxies whose X-Forwarded-For and X-Request-ID are believed."),
    Variable("CORS_ORIGINS", kinds.origins(), "", "Other origins whose scripts may call the API. Empty: none."),
    Variable("METRICS_TOKEN", kinds.long_secret(16), None, "Bearer token that opens /metrics to other machines. Absent: this machine only.", secret=True),
    Variable("PROMETHEUS_MULTIPROC_DIR", kinds.folder(), None, "Where the processes of one machine share what they counted; emptied at every start."),
    Variable("PORT", kinds.whole(1, 65535), "8000", "Where the web server listens."),
    Variable("WEB_WORKERS", kinds.whole(1, 64), "2", "Web processes."),
    # Sessions and tokens
    Variable("ACCESS_TOKEN_SECONDS", kinds.whole(30, 86_400), "900", "How long an access token is good for."),
    Variable("REFRESH_TOKEN_DAYS", kinds.whole(1, 365), "30", "How long a refresh token is good for."),
    Variable("SESSION_HOURS", kinds.whole(1, 720), "8", "How long a dashboard session lasts."),
    # Limits: actions / seconds. A hundred times looser in development.
    _limit("LIMIT_LOGIN", "5/900", "Sign-in attempts for a pair of address and account."),
    _limit("LIMIT_REGISTER", "3/3600", "Registrations from an address."),
    _limit("LIMIT_UPLOAD", "20/60", "Uploads by an address, by a user, for a creator."),
    _limit("LIMIT_SEARCH", "100/60", "Searches by an address, by a user, for a creator."),
    _limit("LIMIT_DEFAULT", "300/60", "Everything else by an address, by a user, for a creator."),
    # Events
    Variable("EVENTS_KEPT", kinds.whole(100, 1_000_000), "2000", "Events that are kept for each creator; a client that has missed more is told to load everything anew."),
    # Searches
    Variable("SEARCHES_KEPT_DAYS", kinds.whole(0, 3650), "90", "For how long a creator can see what people searched for. 0: nothing of it is written down."),
    # Embedding and extraction
    Variable("EMBEDDING_URL", HTTP, None, "An OpenAI-compatible endpoint to embed with, instead of the model that comes along."),
    Variable("EMBEDDING_MODEL", kinds.text(), None, "The model's name at EMBEDDING_URL."),
    Variable("EMBEDDING_API_KEY", kinds.text(), None, "The key for EMBEDDING_URL.", secret=True),
    Variable("EMBEDDING_DIMENSIONS", DIMENSIONS, "384", "How many numbers the model at EMBEDDING_URL gives for a text."),
    Variable("NEXT_EMBEDDING_URL", HTTP, None, "The endpoint of a second model, whose index is built beside the first's until creators switch to it."),
    Variable("NEXT_EMBEDDING_MODEL", kinds.text(), None, "The second model's name at NEXT_EMBEDDING_URL. Without that: built-in, for the model that comes along."),
    Variable("NEXT_EMBEDDING_API_KEY", kinds.text(), None, "The key for NEXT_EMBEDDING_URL.", secret=True),
    Variable("NEXT_EMBEDDING_DIMENSIONS", DIMENSIONS, "384", "How many numbers the model at NEXT_EMBEDDING_URL gives for a text."),
    Variable("EXTRACTION_SECONDS", kinds.whole(1, 3600), "20", "How long reading one file may take before it tells of its first page."),
    Variable("EXTRACTION_SECONDS_PER_PAGE", kinds.whole(0, 600), "1", "How much longer it may take for each page that was read."),
    Variable("EXTRACTION_MOST_SECONDS", kinds.whole(1, 86_400), "900", "How long reading one file may take, however many pages it has."),
    Variable("EXTRACTION_MEMORY_BYTES", kinds.size(2**27, 2**40), "1GiB", "How much memory reading one file may take."),
    Variable("OCR_LANGUAGES", kinds.items(), "eng,deu,fra,spa", "Tesseract's codes of the languages that scans are read in, most likely first. Those that are not installed are left out."),
    Variable("OCR_SECONDS_PER_PAGE", kinds.whole(1, 3600), "30", "How long recognising one scanned page may take."),
    Variable("OCR_MOST_PAGES", kinds.whole(1, 100_000), "300", "Scanned pages of one file that are recognised; a longer file is refused."),
    # Import
    Variable("IMPORT_PORTS", kinds.ports(), "80,443,8080,8443", "Ports that documents are fetched from."),
    Variable("IMPORT_ALLOWED_NETWORKS", kinds.networks(), "", "Networks that documents may be fetched from although they are not public: your intranet. Every creator can read what answers there."),
    Variable("IMPORT_REFUSED_NETWORKS", kinds.networks(), "", "Networks that are public and yet nothing is fetched from: your own servers, your own NAT64 prefix."),
    Variable("IMPORT_SECONDS", kinds.whole(1, 3600), "60", "How long fetching one document may take, redirects and all."),
    # Golden questions
    Variable("GOLDEN_QUESTIONS", kinds.whole(1, 10_000), "200", "Golden questions that a creator may have."),
    Variable("GOLDEN_DELAY_SECONDS", kinds.whole(0, 3600), "10", "How long after a change they are run: changes that follow meanwhile share the run."),
    # Worker
    Variable("WORKER_CONCURRENCY", kinds.whole(1, 64), "2", "Jobs that one worker does at a time."),
    Variable("JOB_STALLED_SECONDS", kinds.whole(1, 86_400), "10", "After how long a dead worker's job is taken up again."),
    # Log
    Variable("LOG_LEVEL", kinds.choice("debug", "info", "warning", "error"), "info", "The least important line that is written.", testing="warning"),
    Variable("LOG_FORMAT", kinds.choice("json", "console"), "json", "For machines or for people.", development="console"),
)
# fmt: on

VARIABLES: Mapping[str, Variable] = {variable.name: variable for variable in REGISTRY}


class UnknownVariable(LookupError):
    """The registry does not know this variable."""


class VariableMissing(ValueError):
    """A variable has no value and may not fall back to a default."""


class VariableMalformed(ValueError):
    """A variable's text is not of the form that the registry names."""


class InvalidEnvironment(SystemExit):
    """Stops the start with one message for all variables. A SystemExit: nothing may go on half configured."""


def get_env_value(name: str, *, fallback: bool = False) -> Any:
    """The typed value of a variable: what `name`'s kind reads from its text, or None where it may be absent.

    A blank variable counts as absent, since that is what compose files make of an unset one. Without
    `fallback` an absent variable raises VariableMissing; with it, this environment's default counts, except
    for a required variable in production. A malformed value always raises VariableMalformed.
    """
    variable = _variable(name)
    raw = os.environ.get(name, "").strip()
    if raw:
        return _read(variable, raw)
    environment = hub_environment()
    if not fallback or (variable.required and environment == "production"):
        raise VariableMissing(f"{name} is not set: {variable.meaning} Expected: {variable.kind.form}.")
    default = variable.default_in(environment)
    return None if default is None else _read(variable, default)


def get_env_text(name: str) -> str:
    """A variable's own text or its default's, unread: for defaults that are made of other variables."""
    variable = _variable(name)
    return os.environ.get(name, "").strip() or variable.default_in(hub_environment()) or ""


def hub_environment() -> str:
    """development, testing or production."""
    variable = VARIABLES["HUB_ENV"]
    raw = os.environ.get("HUB_ENV", "").strip() or str(variable.default)
    return str(_read(variable, raw))


def is_set(name: str) -> bool:
    """Whether somebody chose a value, as opposed to a default. The launcher starts what nobody chose."""
    _variable(name)
    return bool(os.environ.get(name, "").strip())


def validate_environment() -> None:
    """Stop the start, with one message, unless every variable can be read.

    Malformed values stop every environment; missing ones only production.
    """
    problems = environment_problems()
    if problems:
        count = f"{len(problems)} variable" + ("s need" if len(problems) > 1 else " needs")
        lines = "\n".join(f"  {problem}" for problem in problems)
        raise InvalidEnvironment(
            f"The hub does not start: {count} attention.\n{lines}\nEvery variable is explained in .env.example."
        )


def environment_problems() -> list[str]:
    """One sentence for each missing or malformed variable. Shows no secret's value."""
    try:
        hub_environment()
    except VariableMalformed as error:
        return [f"malformed  {error}"]  # without it nobody can say what else is missing
    problems = []
    for variable in REGISTRY:
        try:
            get_env_value(variable.name, fallback=True)
        except VariableMissing as error:
            problems.append(f"missing    {error}")
        except VariableMalformed as error:
            if is_set(variable.name):  # else it is the echo of the variable that its default is made of
                problems.append(f"malformed  {error}")
    if get_env_text("STORAGE_BACKEND") == "s3" and not is_set("S3_BUCKET"):
        problems.append("missing    S3_BUCKET is not set, and STORAGE_BACKEND is s3.")
    if is_set("EMBEDDING_URL") and not is_set("EMBEDDING_MODEL"):
        problems.append("missing    EMBEDDING_MODEL is not set, and EMBEDDING_URL is.")
    if is_set("NEXT_EMBEDDING_URL") and not is_set("NEXT_EMBEDDING_MODEL"):
        problems.append("missing    NEXT_EMBEDDING_MODEL is not set, and NEXT_EMBEDDING_URL is.")
    if not is_set("NEXT_EMBEDDING_URL") and get_env_text("NEXT_EMBEDDING_MODEL") not in ("", BUILT_IN_MODEL):
        problems.append(f"missing    NEXT_EMBEDDING_URL is not set, and NEXT_EMBEDDING_MODEL is not {BUILT_IN_MODEL}.")
    return problems


def use_settings(module: str = "config.settings") -> None:
    """Name the settings for Django unless the surroundings name others. For manage.py, asgi.py, the worker."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", module)


def choose(**values: str) -> None:
    """Set variables for this process and its children: the launcher's and the tests' servers."""
    for name, value in values.items():
        os.environ[_variable(name).name] = value


def child_environment(**overrides: str | None) -> dict[str, str]:
    """The environment for a child that is a part of the hub: ours, with changes. None takes a variable away."""
    changed = {**os.environ, **overrides}
    return {name: value for name, value in changed.items() if value is not None}


def bare_environment(**additions: str) -> dict[str, str]:
    """The environment for a child that reads strangers' files: what a process needs to run, and no secret."""
    harmless = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "SYSTEMROOT", "LD_LIBRARY_PATH")
    return {name: os.environ[name] for name in harmless if name in os.environ} | additions


def render_example() -> str:
    """The text of `.env.example`. Defaults are commented out; what production needs stands open and empty."""
    lines = [
        "# Made from shared/config/env_constants.py by `make env-example`. Change it there.",
        "# Copy to .env, fill in, and start with: set -a; . ./.env; set +a; make run",
        "",
    ]
    for variable in REGISTRY:
        notes = [variable.kind.form]
        notes += ["secret"] if variable.secret else []
        notes += ["required in production"] if variable.required else []
        lines += [f"# {variable.meaning}", f"# ({'; '.join(notes)})"]
        lines += [*_example_defaults(variable), ""]
    return "\n".join(lines)


def _example_defaults(variable: Variable) -> list[str]:
    """The defaults as comments. A computed one and a path of this machine are left to the meaning's words."""
    if variable.required:
        return [f"{variable.name}="]
    if callable(variable.default):
        return [f"# {variable.name}="]
    lines = [f"# {variable.name}={variable.default or ''}"]
    for environment, own in (("development", variable.development), ("testing", variable.testing)):
        if own is not None and not variable.secret:
            lines.append(f"#   in {environment}: {own() if callable(own) else own}")
    return lines


def _variable(name: str) -> Variable:
    try:
        return VARIABLES[name]
    except KeyError:
        raise UnknownVariable(f"{name} is not in shared/config/env_constants.py") from None


def _read(variable: Variable, raw: str) -> Any:
    try:
        return variable.kind.read(raw)
    except ValueError:
        shown = "(its value is kept secret)" if variable.secret else f"is {raw[:200]!r}"
    # Outside the handler: the parser's own error may quote the value.
    raise VariableMalformed(f"{variable.name} {shown}. Expected: {variable.kind.form}.")


if __name__ == "__main__":
    print(render_example(), end="")
