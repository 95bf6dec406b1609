"""What a checkout has to remember between starts: its secrets and its ports, in `.hub/`, for its owner's eyes alone."""

import json
import os
import secrets
from dataclasses import asdict, dataclass, fields
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Secrets:
    """Made once per checkout. Losing them signs everybody out; nothing stored depends on them."""

    secret_key: str
    jwt_private_key: str
    owner_password: str
    app_password: str


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the servers were last time; they are asked for again, so that an open psql survives a restart."""

    postgres: int | None = None
    redis: int | None = None


def load_secrets(hub: Path) -> Secrets:
    """This checkout's secrets, made on first need."""
    path = hub / "secrets.json"
    if path.exists():
        return Secrets(**json.loads(path.read_text()))
    made = Secrets(
        secret_key=secrets.token_urlsafe(64),
        jwt_private_key=new_signing_key(),
        owner_password=secrets.token_urlsafe(32),
        app_password=secrets.token_urlsafe(32),
    )
    _write(path, asdict(made))
    return made


def load_ports(hub: Path) -> Ports:
    try:
        found = json.loads((hub / "ports.json").read_text())
        return Ports(**{field.name: found[field.name] for field in fields(Ports)})
    except (OSError, ValueError, KeyError):
        return Ports()


def save_ports(hub: Path, ports: Ports) -> None:
    _write(hub / "ports.json", asdict(ports))


def _write(path: Path, content: dict[str, object]) -> None:
    """Whole or not at all, and never readable for others, not even for a moment."""
    half = path.with_suffix(".half")
    half.unlink(missing_ok=True)
    descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    half.rename(path)


def new_signing_key() -> str:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
