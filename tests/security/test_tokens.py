import base64
import json
import time
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.config.env_constants import get_env_value
from shared.security import tokens
from shared.security.tokens import TokenExpired, TokenInvalid, issue_access_token, verify_access_token

WHO = {"user_id": uuid4(), "creator_id": uuid4(), "session_id": uuid4()}


@pytest.fixture(autouse=True)
def fresh_keys():
    tokens.forget_keys()
    yield
    tokens.forget_keys()


def new_pem() -> str:
    key = Ed25519PrivateKey.generate()
    shape = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key.private_bytes(*shape).decode()


def signed(*, headers=None, without=(), key=None, algorithm="EdDSA", **changes) -> str:
    """A token like ours, with changes."""
    keys = tokens._keys()
    claims = jwt.decode(issue_access_token(**WHO), options={"verify_signature": False}) | changes
    claims = {name: value for name, value in claims.items() if name not in without}
    header = {"kid": keys.kid, "typ": "at+jwt"} | (headers or {})
    return jwt.encode(claims, keys.signing if key is None else key, algorithm=algorithm, headers=header)


def encoded(part: dict) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def test_a_token_states_who_for_whom_and_in_which_session():
    claims = verify_access_token(issue_access_token(**WHO, scopes=frozenset({"search", "read"})))

    assert (claims.user_id, claims.creator_id, claims.session_id) == tuple(WHO.values())
    assert claims.scopes == {"search", "read"}
    assert claims.expires_at - time.time() <= get_env_value("ACCESS_TOKEN_SECONDS", fallback=True)


def test_two_tokens_are_never_the_same():
    first, second = issue_access_token(**WHO), issue_access_token(**WHO)

    assert verify_access_token(first).jti != verify_access_token(second).jti


def test_an_unchanged_copy_of_our_token_passes():
    """The control of the refusals below."""
    assert verify_access_token(signed()).user_id == WHO["user_id"]


REFUSED = {
    "another issuer": lambda: signed(iss="https://elsewhere.example"),
    "another audience": lambda: signed(aud="https://elsewhere.example"),
    "a list of audiences": lambda: signed(aud=[tokens._keys().issuer, "https://elsewhere.example"]),
    "issued in the future": lambda: signed(iat=int(time.time()) + 3600),
    "another type": lambda: signed(headers={"typ": "JWT"}),
    "no type": lambda: signed(headers={"typ": None}),
    "an unknown key": lambda: signed(headers={"kid": "another"}),
    "a key that the token brings along": lambda: signed(
        headers={"jwk": tokens._jwk(Ed25519PrivateKey.generate().public_key())}, key=Ed25519PrivateKey.generate()
    ),
    "another signature": lambda: signed(key=Ed25519PrivateKey.generate()),
    "a critical header": lambda: signed(headers={"crit": ["b64"], "b64": True}),
    "HMAC with our public key": lambda: signed(
        key=b"x" + tokens._keys().signing.public_key().public_bytes_raw(), algorithm="HS256"
    ),
    "no signature": lambda: signed(key="", algorithm="none"),
    "an id that is none": lambda: signed(sub="alice"),
    "a creator that is none": lambda: signed(creator_id="acme"),
    "an expiry that is no number": lambda: signed(exp="tomorrow"),
    "nothing": lambda: "",
    "not a token": lambda: "not.a.token",
    "not ASCII": lambda: issue_access_token(**WHO) + "ü",
    "too long": lambda: "a" * 5000,
    "a deeply nested header": lambda: base64.urlsafe_b64encode(b"[" * 2000).rstrip(b"=").decode() + ".e30.e30",
    "a refresh token": tokens.new_refresh_token,
    **{f"without {name}": lambda name=name: signed(without=[name]) for name in tokens._REQUIRED},
}


@pytest.mark.parametrize("forge", REFUSED.values(), ids=REFUSED)
def test_refused(forge):
    token = forge()

    with pytest.raises(TokenInvalid) as refused:
        verify_access_token(token)

    assert refused.value.status == 401
    assert 'error="invalid_token"' in refused.value.headers["WWW-Authenticate"]


def test_changed_claims_are_refused():
    header, _, signature = issue_access_token(**WHO).split(".")
    claims = jwt.decode(issue_access_token(**WHO), options={"verify_signature": False})
    forged = f"{header}.{encoded(claims | {'creator_id': str(uuid4())})}.{signature}"

    with pytest.raises(TokenInvalid):
        verify_access_token(forged)


def test_an_expired_token_is_told_apart():
    with pytest.raises(TokenExpired):
        verify_access_token(signed(exp=int(time.time()) - 60))


def test_a_remembered_token_expires_too(monkeypatch):
    token = issue_access_token(**WHO)
    verify_access_token(token)
    later = time.time() + get_env_value("ACCESS_TOKEN_SECONDS", fallback=True) + 60
    monkeypatch.setattr(tokens.time, "time", lambda: later)

    with pytest.raises(TokenExpired):
        verify_access_token(token)


def test_a_token_seen_before_costs_no_signature(monkeypatch):
    token = issue_access_token(**WHO)
    claims = verify_access_token(token)
    monkeypatch.setattr(tokens, "_verify", lambda _: pytest.fail("verified again"))

    assert verify_access_token(token) == claims


def test_only_so_many_tokens_are_remembered(monkeypatch):
    monkeypatch.setattr(tokens, "_REMEMBERED", 3)
    for _ in range(5):
        verify_access_token(issue_access_token(**WHO))

    assert len(tokens._seen._claims) == 3


def test_the_key_before_verifies_and_signs_no_more(monkeypatch):
    old, new = new_pem(), new_pem()
    monkeypatch.setenv("JWT_PRIVATE_KEY", old)
    tokens.forget_keys()
    before = issue_access_token(**WHO)

    monkeypatch.setenv("JWT_PRIVATE_KEY", new)
    tokens.forget_keys()
    with pytest.raises(TokenInvalid):
        verify_access_token(before)

    monkeypatch.setenv("JWT_PREVIOUS_KEY", old)
    tokens.forget_keys()
    assert verify_access_token(before).user_id == WHO["user_id"]
    assert len(tokens.public_keys()["keys"]) == 2
    assert jwt.get_unverified_header(issue_access_token(**WHO))["kid"] != jwt.get_unverified_header(before)["kid"]


def test_others_can_verify_our_tokens_with_the_published_keys():
    token = issue_access_token(**WHO)
    published = jwt.PyJWKSet.from_dict(tokens.public_keys())
    key = published[jwt.get_unverified_header(token)["kid"]]

    stated = jwt.decode(token, key, algorithms=["EdDSA"], audience=tokens._keys().issuer)

    assert stated["sub"] == str(WHO["user_id"])
    assert set(tokens.public_keys()["keys"][0]) == {"kty", "crv", "x", "kid", "use", "alg"}


def test_a_refresh_token_is_random_and_its_hash_is_what_is_kept():
    token = tokens.new_refresh_token()

    assert token != tokens.new_refresh_token()
    assert len(token) >= 7 + 43
    assert len(tokens.hash_refresh_token(token)) == 64
    assert token not in tokens.hash_refresh_token(token)
    assert tokens.hash_refresh_token("\ud800")
