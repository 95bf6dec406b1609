"""Seal bytes so that only somebody who brings the same secret again can open them."""

import os
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

_VERSION = b"\x01"
_NONCE_BYTES = 12


class SealBroken(ValueError):
    """Sealed bytes do not open: another secret, another SECRET_KEY, or they were changed."""


def seal(data: bytes, secret: bytes) -> bytes:
    """Encrypt and authenticate `data` (AES-256-GCM) under SECRET_KEY and the caller's secret together.

    A stolen database holds neither. The same data sealed twice looks different.
    """
    nonce = os.urandom(_NONCE_BYTES)
    return _VERSION + nonce + AESGCM(_key(settings.SECRET_KEY, secret)).encrypt(nonce, data, _VERSION)


def open_sealed(sealed: bytes, secret: bytes) -> bytes:
    """What `seal` was given. Raises SealBroken. Honours SECRET_KEY_FALLBACKS, for a change of keys."""
    version, nonce, body = sealed[:1], sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
    if version != _VERSION or len(nonce) != _NONCE_BYTES:
        raise SealBroken
    for secret_key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        try:
            return AESGCM(_key(secret_key, secret)).decrypt(nonce, body, version)
        except InvalidTag:
            continue
    raise SealBroken


def _key(secret_key: str, secret: bytes) -> bytes:
    salt = sha256(secret_key.encode()).digest()
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=b"hub sealed answer").derive(secret)
