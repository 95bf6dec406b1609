"""Members of one creator, signed in both ways: python -m benchmarks.seed_listeners COUNT. Prints them as JSON."""

import json
import sys
from importlib import import_module

from shared.config.env_constants import use_settings

use_settings()

import django  # noqa: E402

django.setup()

from django.conf import settings  # noqa: E402
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY  # noqa: E402
from django.db import transaction  # noqa: E402

from apps.accounts.models import Creator, Membership, User  # noqa: E402
from apps.accounts.services.tokens import open_sign_in  # noqa: E402


def main() -> None:
    count = int(sys.argv[1])
    creator = Creator.objects.create(display_name="Much heard")
    owner = _member(creator, "owner", 0)
    people = [{"token": open_sign_in(owner, creator).access_token}]
    for number in range(1, count + 1):
        user = _member(creator, "viewer", number)
        signed_in = {"token": open_sign_in(user, creator).access_token} if number % 2 else {"session": _session(user)}
        people.append(signed_in)
    print(json.dumps(people))


def _member(creator: Creator, role: str, number: int) -> User:
    user = User.objects.create(email=f"{role}-{number}@listeners.example.com", display_name=role, password="!")
    Membership.objects.create(user=user, creator=creator, role=role)
    return user


def _session(user: User) -> str:
    membership = user.memberships.get()
    session = import_module(settings.SESSION_ENGINE).SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session["creator_id"] = str(membership.creator_id)
    session.save()
    return str(session.session_key)


if __name__ == "__main__":
    with transaction.atomic():
        main()
