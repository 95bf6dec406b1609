"""Settings of the stock Django peer: Django's own Postgres backend over psycopg's pool, and nothing of the hub's.

None of Django's own middleware is on. Under ASGI each class of theirs costs a request two trips to its thread, and
what they do here is done already: the contract sets the headers of `SecurityMiddleware`, `guard` the length that
`CommonMiddleware` would set, and an API with tokens has no sessions, no forms and no slashes to append.
"""

from psycopg.conninfo import conninfo_to_dict

from benchmarks.peers.contract import configure_logging, database_url

_database = conninfo_to_dict(database_url())

SECRET_KEY = "nothing is signed with it"
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
INSTALLED_APPS = ["benchmarks.peers"]
MIDDLEWARE = ["benchmarks.peers.django_api.guard"]
ROOT_URLCONF = "benchmarks.peers.django_api"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _database["dbname"],
        "USER": _database["user"],
        "PASSWORD": _database["password"],
        "HOST": _database["host"],
        "PORT": _database["port"],
        "OPTIONS": {
            "pool": {"min_size": 8, "max_size": 8},
            # Off by default for the sake of poolers that cannot have them: statements that Postgres plans once.
            "server_side_binding": True,
            "prepare_threshold": 5,
        },
    }
}

LOGGING_CONFIG = None
configure_logging()
