"""Access tokens (Ed25519 JWTs, RFC 9068 in form, RFC 8725 in checking) and opaque refresh tokens."""

import base64
import hashlib
import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID, uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from shared.config.env_constants import get_env_value
from shared.exceptions import NotAuthenticated

_ALGORITHM = "EdDSA"
_TYPE = "at+jwt"
_REQUIRED = ["iss", "aud", "sub", "exp", "iat", "jti", "creator_id", "sid"]
# The clocks of two machines never agree quite.
_LEEWAY_SECONDS = 5
# Ours have some 600 characters; whoever sends more does not get a signature checked.
_LONGEST_TOKEN = 4096
_REMEMBERED = 4096


class TokenInvalid(NotAuthenticated):
    """This access token is not valid. Sign in again."""

    code = "token_invalid"

    def __init__(self) -> None:
        super().__init__(headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})


class TokenExpired(TokenInvalid):
    """This access token has expired. Refresh it, or sign in again."""

    code = "token_expired"


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified access token states. Whether the session still stands is for the database to say.

    `session_id` is the family of refresh tokens; `expires_at` is in seconds since 1970.
    """

    user_id: UUID
    creator_id: UUID
    session_id: UUID
    jti: UUID
    expires_at: int
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Keys:
    """The key that signs, by its name, and all that verify."""

    kid: str
    signing: Ed25519PrivateKey
    verifying: dict[str, Ed25519PublicKey]
    issuer: str
    lifetime: int


def issue_access_token(
    *, user_id: UUID, creator_id: UUID, session_id: UUID, scopes: frozenset[str] = frozenset()
) -> str:
    """A signed token, good for ACCESS_TOKEN_SECONDS. Anybody can read it: nothing secret is in it."""
    keys = _keys()
    now = int(time.time())
    claims: dict[str, Any] = {
        "iss": keys.issuer,
        "aud": keys.issuer,
        "sub": str(user_id),
        "creator_id": str(creator_id),
        "sid": str(session_id),
        "jti": str(uuid4()),
        "iat": now,
        "exp": now + keys.lifetime,
    }
    if scopes:
        claims["scope"] = " ".join(sorted(scopes))
    return jwt.encode(claims, keys.signing, algorithm=_ALGORITHM, headers={"kid": keys.kid, "typ": _TYPE})


def verify_access_token(token: str) -> Claims:
    """The claims of a token of ours that has not expired. Raises TokenInvalid or TokenExpired (401).

    A token seen before costs a hash instead of a signature (about 1 us instead of 150): its claims are
    remembered under its SHA-256, and its expiry is looked at each time.
    """
    if len(token) > _LONGEST_TOKEN:
        raise TokenInvalid
    try:
        digest = hashlib.sha256(token.encode("ascii")).digest()
    except UnicodeEncodeError:
        raise TokenInvalid from None
    claims = _seen.get(digest)
    if claims is None:
        claims = _verify(token)
        _seen.put(digest, claims)
    elif claims.expires_at + _LEEWAY_SECONDS <= time.time():
        raise TokenExpired
    return claims


def public_keys() -> dict[str, list[dict[str, str]]]:
    """The keys that verify our tokens, as a JWK Set (RFC 7517)."""
    return {
        "keys": [{**_jwk(key), "kid": kid, "use": "sig", "alg": _ALGORITHM} for kid, key in _keys().verifying.items()]
    }


def new_refresh_token() -> str:
    """256 random bits. The prefix lets scanners find one that leaked."""
    return "hub_rt_" + secrets.token_urlsafe(32)


def hash_refresh_token(token: str) -> str:
    """What is stored of a refresh token: 64 hexadecimal digits. Against guessing 256 bits one round is enough."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def forget_keys() -> None:
    """Read the keys again, and remember no token. For tests and for a change of keys."""
    _keys.cache_clear()
    _seen.clear()


class _Seen:
    """Verified tokens by their hash; the one unused for longest goes first."""

    def __init__(self) -> None:
        self._claims: OrderedDict[bytes, Claims] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, digest: bytes) -> Claims | None:
        with self._lock:
            claims = self._claims.get(digest)
            if claims is not None:
                self._claims.move_to_end(digest)
            return claims

    def put(self, digest: bytes, claims: Claims) -> None:
        with self._lock:
            self._claims[digest] = claims
            if len(self._claims) > _REMEMBERED:
                self._claims.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._claims.clear()


_seen = _Seen()


@lru_cache(maxsize=1)
def _keys() -> _Keys:
    signing = _load(get_env_value("JWT_PRIVATE_KEY", fallback=True))
    previous = get_env_value("JWT_PREVIOUS_KEY", fallback=True)
    public = [key.public_key() for key in (signing, *([_load(previous)] if previous else []))]
    verifying = {_thumbprint(key): key for key in public}
    return _Keys(
        kid=next(iter(verifying)),
        signing=signing,
        verifying=verifying,
        issuer=get_env_value("PUBLIC_URL", fallback=True),
        lifetime=get_env_value("ACCESS_TOKEN_SECONDS", fallback=True),
    )


def _load(pem: str) -> Ed25519PrivateKey:
    key = load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise TypeError("not an Ed25519 key")  # the registry has refused it before
    return key


def _verify(token: str) -> Claims:
    keys = _keys()
    try:
        header = jwt.get_unverified_header(token)
        # The header only chooses among our own keys. Algorithm and type are ours to say (RFC 8725, 3.1 and 3.11).
        key = keys.verifying.get(str(header.get("kid")))
        if key is None or header.get("typ") != _TYPE or "crit" in header:
            raise TokenInvalid
        stated = jwt.decode(
            token,
            key,
            algorithms=[_ALGORITHM],
            audience=keys.issuer,
            issuer=keys.issuer,
            leeway=_LEEWAY_SECONDS,
            options={"require": _REQUIRED, "strict_aud": True},
        )
        return Claims(
            user_id=UUID(stated["sub"]),
            creator_id=UUID(stated["creator_id"]),
            session_id=UUID(stated["sid"]),
            jti=UUID(stated["jti"]),
            expires_at=int(stated["exp"]),
            scopes=frozenset(str(stated.get("scope", "")).split()),
        )
    except jwt.ExpiredSignatureError:
        raise TokenExpired from None
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError, RecursionError):
        raise TokenInvalid from None


def _jwk(key: Ed25519PublicKey) -> dict[str, str]:
    return {"crv": "Ed25519", "kty": "OKP", "x": _base64url(key.public_bytes_raw())}


def _thumbprint(key: Ed25519PublicKey) -> str:
    """RFC 7638: the SHA-256 of the key's own members, in order and without spaces."""
    members = ",".join(f'"{name}":"{value}"' for name, value in sorted(_jwk(key).items()))
    return _base64url(hashlib.sha256(f"{{{members}}}".encode()).digest())


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
