"""What accounts can do. Doors and other apps come in here and nowhere else."""

from apps.accounts.services.actors import (
    SESSION_CREATOR,
    Me,
    creator_name,
    load_session_actor,
    membership_still_holds,
    who_am_i,
)
from apps.accounts.services.creators import list_creator_ids
from apps.accounts.services.listening import TokenProof, load_session_listening, still_listening
from apps.accounts.services.registration import (
    EmailTaken,
    NewAccount,
    Registered,
    register_and_sign_in,
    register_creator,
)
from apps.accounts.services.sign_in import (
    Credentials,
    InvalidCredentials,
    NoCreator,
    end_session,
    find_credentials,
    log_in,
    log_out,
    start_session,
)
from apps.accounts.services.standing import Standing, describe_me
from apps.accounts.services.tokens import (
    InvalidRefreshToken,
    RefreshTokenReused,
    TokenPair,
    revoke_reused_sign_in,
    rotate_refresh_token,
)

__all__ = [
    "SESSION_CREATOR",
    "Credentials",
    "EmailTaken",
    "InvalidCredentials",
    "InvalidRefreshToken",
    "Me",
    "NewAccount",
    "NoCreator",
    "RefreshTokenReused",
    "Registered",
    "Standing",
    "TokenPair",
    "TokenProof",
    "creator_name",
    "describe_me",
    "end_session",
    "find_credentials",
    "list_creator_ids",
    "load_session_actor",
    "load_session_listening",
    "log_in",
    "log_out",
    "membership_still_holds",
    "register_and_sign_in",
    "register_creator",
    "revoke_reused_sign_in",
    "rotate_refresh_token",
    "start_session",
    "still_listening",
    "who_am_i",
]
