import base64
import stat
import subprocess
import sys
from ipaddress import ip_network
from pathlib import Path

import pytest

from shared.config import env_constants as env
from shared.config.kinds import Allowance

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "hunter2-and-then-some"


@pytest.fixture(autouse=True)
def bare_surroundings(monkeypatch):
    """No variable of the person who runs the tests counts."""
    for name in env.VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def production(monkeypatch):
    """A complete production environment."""
    pem = env._local_signing_key()
    values = {
        "HUB_ENV": "production",
        "SECRET_KEY": "k3" * 12 + "Zq9x" * 8,
        "JWT_PRIVATE_KEY": base64.b64encode(pem.encode()).decode(),
        "DATABASE_URL": f"postgresql://hub_app:{PASSWORD}@db/hub",
        "REDIS_URL": "redis://cache:6379/0",
        "DATA_DIR": "/srv/hub",
        "ALLOWED_HOSTS": "hub.example, www.hub.example",
        "PUBLIC_URL": "https://hub.example/",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return values


def test_a_complete_production_environment_starts(production):
    env.validate_environment()

    assert env.get_env_value("ALLOWED_HOSTS") == ["hub.example", "www.hub.example"]
    assert env.get_env_value("PUBLIC_URL") == "https://hub.example"
    assert env.get_env_value("JWT_PRIVATE_KEY").startswith("-----BEGIN PRIVATE KEY-----")
    assert env.get_env_value("DATABASE_DIRECT_URL", fallback=True) == production["DATABASE_URL"]


def test_an_empty_production_environment_is_told_everything_at_once(monkeypatch):
    monkeypatch.setenv("HUB_ENV", "production")
    required = {variable.name for variable in env.REGISTRY if variable.required}

    with pytest.raises(env.InvalidEnvironment) as stopped:
        env.validate_environment()

    lines = str(stopped.value).splitlines()
    assert {line.split()[1] for line in lines if line.startswith("  missing")} == required
    assert len(required) == 7


def test_missing_and_malformed_come_in_one_message_without_any_secret(production, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", f"mysql://hub:{PASSWORD}@db/hub")
    monkeypatch.setenv("SECRET_KEY", PASSWORD)
    monkeypatch.setenv("JWT_PRIVATE_KEY", PASSWORD)
    monkeypatch.setenv("METRICS_TOKEN", PASSWORD[:7])
    monkeypatch.setenv("PORT", "80800")
    monkeypatch.delenv("DATA_DIR")

    with pytest.raises(env.InvalidEnvironment) as stopped:
        env.validate_environment()

    message = str(stopped.value)
    for name in (
        "DATABASE_URL",
        "SECRET_KEY",
        "JWT_PRIVATE_KEY",
        "METRICS_TOKEN",
        "PORT is '80800'",
        "DATA_DIR",
    ):
        assert name in message
    assert PASSWORD[:7] not in message
    assert stopped.value.__context__ is None


def test_a_malformed_database_url_is_named_once_though_another_default_is_made_of_it(production, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "nonsense")

    assert [problem.split()[1] for problem in env.environment_problems()] == ["DATABASE_URL"]


def test_a_malformed_secret_leaves_nothing_behind_in_the_error(monkeypatch):
    monkeypatch.setenv("METRICS_TOKEN", "short")

    with pytest.raises(env.VariableMalformed) as refused:
        env.get_env_value("METRICS_TOKEN")

    assert "short" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None


def test_the_process_stops_with_the_message_and_no_traceback(production, monkeypatch):
    monkeypatch.setenv("PORT", "no")
    code = "from shared.config.env_constants import validate_environment as v; v(); print('went on')"

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "went on" not in done.stdout
    assert "PORT is 'no'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("environment", ["development", "testing"])
def test_nothing_needs_to_be_set_elsewhere(environment, monkeypatch):
    monkeypatch.setenv("HUB_ENV", environment)

    assert env.environment_problems() == []


def test_an_unknown_environment_is_refused(monkeypatch):
    monkeypatch.setenv("HUB_ENV", "prod")

    with pytest.raises(env.InvalidEnvironment, match="HUB_ENV is 'prod'"):
        env.validate_environment()


def test_a_required_variable_has_no_fallback_in_production(monkeypatch):
    assert env.get_env_value("REDIS_URL", fallback=True).startswith("redis://")

    monkeypatch.setenv("HUB_ENV", "production")

    with pytest.raises(env.VariableMissing, match="REDIS_URL"):
        env.get_env_value("REDIS_URL", fallback=True)


def test_without_fallback_an_absent_variable_raises():
    with pytest.raises(env.VariableMissing, match="PORT"):
        env.get_env_value("PORT")

    assert env.get_env_value("PORT", fallback=True) == 8000


def test_blank_counts_as_absent(monkeypatch):
    monkeypatch.setenv("METRICS_TOKEN", "  ")

    assert env.get_env_value("METRICS_TOKEN", fallback=True) is None
    assert not env.is_set("METRICS_TOKEN")


def test_a_name_outside_the_registry_is_a_mistake_of_the_caller():
    for ask in (env.get_env_value, env.is_set, env.get_env_text):
        with pytest.raises(env.UnknownVariable, match="DATABSE_URL"):
            ask("DATABSE_URL")


def test_limits_are_a_hundred_times_looser_in_development(monkeypatch):
    monkeypatch.setenv("HUB_ENV", "development")
    assert env.get_env_value("LIMIT_LOGIN", fallback=True) == Allowance(500, 900)

    monkeypatch.setenv("HUB_ENV", "testing")
    assert env.get_env_value("LIMIT_LOGIN", fallback=True) == Allowance(5, 900)


def test_a_bucket_needs_its_name_and_an_endpoint_its_model(production, monkeypatch):
    monkeypatch.setenv("STORAGE_BACKEND", "s3")
    monkeypatch.setenv("EMBEDDING_URL", "https://models.example/v1")

    assert [problem.split()[1] for problem in env.environment_problems()] == ["S3_BUCKET", "EMBEDDING_MODEL"]


def test_the_local_signing_key_is_real_and_follows_the_secret(monkeypatch):
    first = env.get_env_value("JWT_PRIVATE_KEY", fallback=True)
    assert env.get_env_value("JWT_PRIVATE_KEY", fallback=True) == first

    monkeypatch.setenv("SECRET_KEY", "another-secret-" * 5)

    assert env.get_env_value("JWT_PRIVATE_KEY", fallback=True) != first


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [
        ("MAX_UPLOAD_BYTES", "10 MiB", 10 * 2**20),
        ("MAX_UPLOAD_BYTES", "1024", 1024),
        (
            "CORS_ORIGINS",
            "https://a.example/, HTTP://B.example:8080",
            ["https://a.example", "http://b.example:8080"],
        ),
        ("LIMIT_SEARCH", "7 / 60", Allowance(7, 60)),
        ("LOG_LEVEL", "INFO", "info"),
        ("DATABASE_THREADS", "12", 12),
        ("IMPORT_PORTS", "443, 80", {80, 443}),
        ("IMPORT_ALLOWED_NETWORKS", "10.0.0.0/8", [ip_network("10.0.0.0/8")]),
    ],
)
def test_text_becomes_the_value_it_means(name, raw, value, monkeypatch):
    monkeypatch.setenv(name, raw)

    assert env.get_env_value(name) == value


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("MAX_UPLOAD_BYTES", "10 parsecs"),
        ("MAX_UPLOAD_BYTES", "0"),
        ("CORS_ORIGINS", "https://a.example/path"),
        ("CORS_ORIGINS", "*"),
        ("PUBLIC_URL", "hub.example"),
        ("PUBLIC_URL", "https://user:pass@hub.example"),
        ("LIMIT_SEARCH", "0/60"),
        ("LIMIT_SEARCH", "5"),
        ("TRUSTED_PROXIES", "10.0.0.0/99"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("DATA_DIR", "uploads"),
        ("REDIS_URL", "redis://host:port"),
        ("SECRET_KEY", "a" * 80),
        ("PORT", "1e3"),
        ("IMPORT_PORTS", "80,0"),
        ("IMPORT_PORTS", "80-90"),
    ],
)
def test_what_does_not_fit_is_refused(name, raw, monkeypatch):
    monkeypatch.setenv(name, raw)

    with pytest.raises(env.VariableMalformed, match=name):
        env.get_env_value(name)


def test_a_key_of_another_kind_is_refused(monkeypatch):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    plain = serialization.NoEncryption()
    shapes = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    elliptic = ec.generate_private_key(ec.SECP256R1()).private_bytes(*shapes, plain)
    locked = ed25519.Ed25519PrivateKey.generate().private_bytes(*shapes, serialization.BestAvailableEncryption(b"x"))

    for pem in (elliptic, locked):
        monkeypatch.setenv("JWT_PRIVATE_KEY", pem.decode())
        with pytest.raises(env.VariableMalformed):
            env.get_env_value("JWT_PRIVATE_KEY")


def test_a_pem_with_written_out_line_ends_is_read(monkeypatch):
    monkeypatch.setenv("JWT_PRIVATE_KEY", env._local_signing_key().replace("\n", "\\n"))

    assert env.get_env_value("JWT_PRIVATE_KEY") == env._local_signing_key()


def test_a_child_that_reads_strangers_files_gets_no_secret(production):
    assert not set(env.bare_environment()) & set(env.VARIABLES)
    assert "PATH" in env.bare_environment()
    assert env.bare_environment(PYTHONHASHSEED="0")["PYTHONHASHSEED"] == "0"


def test_a_child_of_the_hub_gets_ours_with_changes(production):
    child = env.child_environment(PORT="8001", REDIS_URL=None)

    assert child["PORT"] == "8001"
    assert "REDIS_URL" not in child
    assert child["SECRET_KEY"] == production["SECRET_KEY"]


def test_settings_chosen_by_the_surroundings_win(monkeypatch):
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "elsewhere.settings")
    env.use_settings()

    assert env.child_environment()["DJANGO_SETTINGS_MODULE"] == "elsewhere.settings"


def test_the_example_is_the_registry(production):
    """With a filled environment: nothing of the machine that renders it may get into the file."""
    example = ROOT / ".env.example"

    assert example.read_text() == env.render_example(), "run: make env-example"
    assert not example.stat().st_mode & stat.S_IXUSR


def test_the_example_shows_no_default_of_a_secret():
    assert env.LOCAL_SECRET not in env.render_example()
    assert "PRIVATE KEY-----" not in env.render_example()
