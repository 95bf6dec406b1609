"""`/auth`: register, sign in, stay signed in, sign out."""

from django.http import HttpRequest, HttpResponse
from ninja import Router

from apps.accounts import services
from apps.accounts.authentication import hash_new_password, verify_credentials
from apps.accounts.schemas import LoginIn, MeOut, RefreshIn, RegisteredOut, RegisterIn, TokenPairOut
from apps.accounts.services import RefreshTokenReused, describe_me
from shared.api import ReadAnswer, answer_once, answer_read
from shared.security.addresses import client_address
from shared.security.rate_limiter import limiter
from shared.security.tokens import public_keys
from shared.tenancy.run import run_global

router = Router(tags=["auth"])


@router.post("/register", auth=None, response={201: RegisteredOut})
async def register(request: HttpRequest, body: RegisterIn) -> HttpResponse:
    """Make an account and a creator of its own, and sign in. 409 `email_taken` where the address has one."""
    password_hash = await hash_new_password(body.password, email=body.email, display_name=body.display_name)
    return await answer_once(
        request,
        201,
        RegisteredOut,
        services.register_and_sign_in,
        owner=body.email,
        email=body.email,
        password_hash=password_hash,
        display_name=body.display_name,
    )


@router.post("/login", auth=None, response=TokenPairOut)
async def login(request: HttpRequest, body: LoginIn) -> HttpResponse:
    """Sign in. An unknown address and a wrong password get the same answer, 401 `invalid_credentials`."""
    await limiter.check_login(client_address(request), body.email)
    credentials = await verify_credentials(body.email, body.password)
    return await answer_once(request, 200, TokenPairOut, services.log_in, owner=body.email, credentials=credentials)


@router.post("/refresh", auth=None, response=TokenPairOut)
async def refresh(request: HttpRequest, body: RefreshIn) -> HttpResponse:
    """Exchange a refresh token, which is spent by it, for a new pair.

    A spent token ends the whole sign-in: it was stolen, or its copy was. Send an Idempotency-Key, and a
    request whose answer got lost can be repeated without that.
    """
    try:
        return await answer_once(
            request,
            200,
            TokenPairOut,
            services.rotate_refresh_token,
            owner=body.refresh_token,
            refresh_token=body.refresh_token,
        )
    except RefreshTokenReused:
        await run_global(services.revoke_reused_sign_in, refresh_token=body.refresh_token)
        raise


@router.post("/logout", response={204: None})
async def logout(request: HttpRequest) -> HttpResponse:
    """End this sign-in: its refresh token and its access tokens, at once."""
    return await answer_once(request, 204, None, services.log_out)


_ME = ReadAnswer(MeOut, lambda standing, rows: describe_me(standing))


@router.get("/me", response=MeOut)
async def me(request: HttpRequest) -> HttpResponse:
    """Who is signed in, for which creator, with which role."""
    return await answer_read(request, _ME)


@router.get("/jwks", auth=None)
async def jwks(request: HttpRequest) -> dict[str, list[dict[str, str]]]:
    """The keys that verify access tokens (RFC 7517)."""
    return public_keys()
