"""The forms a variable can take: how its text is read, and how the form is said in one line.

Standard library only at import: the launcher reads the registry before Django exists.
"""

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

type Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Kind:
    """One form of value: `read` turns text into the typed value, or raises ValueError."""

    form: str
    read: Callable[[str], object]


class Allowance(NamedTuple):
    """So many actions in so many seconds."""

    quota: int
    window: int

    def __str__(self) -> str:
        return f"{self.quota}/{self.window}"


def text() -> Kind:
    return Kind("text", str)


def long_secret(length: int) -> Kind:
    """Text that cannot be guessed by trying: long, and not one character repeated."""

    def read(raw: str) -> str:
        if len(raw) < length or len(set(raw)) < 5:
            raise ValueError
        return raw

    return Kind(f"at least {length} random characters", read)


def choice(*allowed: str) -> Kind:
    def read(raw: str) -> str:
        if raw.lower() not in allowed:
            raise ValueError
        return raw.lower()

    return Kind("one of " + ", ".join(allowed), read)


def whole(low: int, high: int) -> Kind:
    def read(raw: str) -> int:
        number = int(raw)
        if not low <= number <= high:
            raise ValueError
        return number

    return Kind(f"a whole number from {low} to {high}", read)


def size(low: int, high: int) -> Kind:
    """A number of bytes; `50MiB` reads better than 52428800."""
    units = {"": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30}

    def read(raw: str) -> int:
        match = re.fullmatch(r"(\d{1,15})\s*([a-z]{0,3})", raw.lower())
        if match is None or match[2] not in units:
            raise ValueError
        number = int(match[1]) * units[match[2]]
        if not low <= number <= high:
            raise ValueError
        return number

    return Kind(f"a number of bytes from {low} to {high}, or with KiB, MiB, GiB", read)


def items() -> Kind:
    return Kind("a list separated by commas", _split)


def networks() -> Kind:
    def read(raw: str) -> list[Network]:
        return [ipaddress.ip_network(item) for item in _split(raw)]

    return Kind("networks such as 10.0.0.0/8, separated by commas", read)


def ports() -> Kind:
    def read(raw: str) -> frozenset[int]:
        numbers = frozenset(int(item) for item in _split(raw))
        if not numbers <= set(range(1, 65536)):
            raise ValueError
        return numbers

    return Kind("port numbers separated by commas", read)


def origin() -> Kind:
    return Kind("an origin such as https://hub.example, without a path", _origin)


def origins() -> Kind:
    def read(raw: str) -> list[str]:
        return [_origin(item) for item in _split(raw)]

    return Kind("origins such as https://app.example, separated by commas", read)


def url(*schemes: str) -> Kind:
    def read(raw: str) -> str:
        parts = urlsplit(raw)
        if parts.scheme not in schemes or not (parts.netloc or parts.path):
            raise ValueError
        _ = parts.port  # raises for a port that is no number
        return raw

    return Kind("a URL that starts with " + " or ".join(f"{scheme}://" for scheme in schemes), read)


def folder() -> Kind:
    """An absolute path; a relative one would depend on where the process was started."""

    def read(raw: str) -> Path:
        path = Path(raw).expanduser()
        if not path.is_absolute():
            raise ValueError
        return path

    return Kind("an absolute path of a folder", read)


def allowance() -> Kind:
    def read(raw: str) -> Allowance:
        match = re.fullmatch(r"(\d{1,9})\s*/\s*(\d{1,6})", raw)
        if match is None or not int(match[1]) or not int(match[2]):
            raise ValueError
        return Allowance(int(match[1]), int(match[2]))

    return Kind("how many / in how many seconds, such as 5/900", read)


def ed25519_pem() -> Kind:
    """A private key as PEM, or the base64 of that PEM in one line, since many places hold one line only."""

    def read(raw: str) -> str:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        pem = raw.replace("\\n", "\n")
        if "-----BEGIN" not in pem:
            try:
                pem = base64.b64decode(raw, validate=True).decode("ascii")
            except (binascii.Error, UnicodeDecodeError):
                raise ValueError from None
        try:
            key = load_pem_private_key(pem.encode(), password=None)
        except (TypeError, UnsupportedAlgorithm) as error:  # encrypted, or of an unknown kind
            raise ValueError from error
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError
        return pem

    return Kind("an Ed25519 private key, PKCS8 PEM, or the base64 of it in one line", read)


def _split(raw: str) -> list[str]:
    return [item.strip() for item in raw.split(",") if item.strip()]


def _origin(raw: str) -> str:
    parts = urlsplit(raw.rstrip("/"))
    plain = not (parts.path or parts.query or parts.fragment or parts.username or parts.password)
    if parts.scheme not in {"http", "https"} or not parts.hostname or not plain:
        raise ValueError
    _ = parts.port  # raises for a port that is no number
    return raw.rstrip("/").lower()
