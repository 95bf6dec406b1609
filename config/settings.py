"""The hub's settings, in named sections. Values come from the registry in `shared/config/env_constants.py`."""

from urllib.parse import unquote, urlsplit

import psycopg
from django.db import InterfaceError, OperationalError
from django.templatetags.static import static
from django.utils.csp import CSP

from shared.config.env_constants import PROJECT_ROOT, get_env_value, hub_environment, validate_environment
from shared.observability.logs import configure_logging

validate_environment()

# ---- Where it runs

ENVIRONMENT = hub_environment()
PRODUCTION = ENVIRONMENT == "production"
# Django's debug pages show settings and source. Development has structured logs instead.
DEBUG = False
BASE_DIR = PROJECT_ROOT
DATA_DIR = get_env_value("DATA_DIR", fallback=True)
SECRET_KEY = get_env_value("SECRET_KEY", fallback=True)
ALLOWED_HOSTS = get_env_value("ALLOWED_HOSTS", fallback=True)
PUBLIC_URL = get_env_value("PUBLIC_URL", fallback=True)

# ---- What it is made of

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.staticfiles",
    "shared.tenancy.admin_app.HubAdminConfig",
    "django_htmx",
    "channels",
    "ninja",
    "procrastinate.contrib.django",
    "shared.tenancy",
    "shared.idempotency",
    "apps.accounts",
    "apps.knowledge",
    "apps.hub",
]

# Outermost first. The machines' way (shared/lean.py): native async, nothing that a browser needs.
LEAN_MIDDLEWARE = [
    "shared.observability.middleware.RequestIdMiddleware",
    "shared.http.ApiHeadersMiddleware",
    "shared.security.cors.CorsMiddleware",
    "shared.tenancy.middleware.IdentityMiddleware",
    "shared.security.middleware.RateLimitMiddleware",
    "shared.tenancy.middleware.ActorMiddleware",
    "shared.lean.BodyMiddleware",
]
# The pages' way, through Django's own handler.
MIDDLEWARE = [
    "shared.observability.middleware.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "shared.tenancy.middleware.IdentityMiddleware",
    "shared.security.middleware.RateLimitMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "shared.tenancy.middleware.ActorMiddleware",
    "shared.http.ParseUploadsMiddleware",
    "shared.http.CsrfViewMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "shared.http.ErrorsMiddleware",
]

# The deployment check looks for Django's own class by name; ours is a subclass of it, and a test says so.
SILENCED_SYSTEM_CHECKS = ["security.W003"]

ROOT_URLCONF = "config.urls"
LEAN_URLCONF = "config.lean_urls"
ASGI_APPLICATION = "config.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"

# ---- Creators and who acts for them

CREATOR_MODEL = "accounts.Creator"
# Where it is written what staff did while acting as a creator: in that creator's scope.
AUDIT_MODEL = "accounts.AuditEntry"
AUTHENTICATOR = "apps.accounts.authentication.authenticate"
# How the database is asked whether a token still holds.
CONFIRMATION = "apps.accounts.services.standing.confirmation"
DOORKEEPER = "apps.accounts.authentication.doorkeeper"

# Paths that machines ask: JSON errors, no cookies.
MACHINE_PATHS = ("/api/", "/health/", "/metrics")
# Paths that take the lean way.
LEAN_PATHS = (*MACHINE_PATHS, "/static/")
# Paths that serve everybody the same.
PATHS_WITHOUT_ACTOR = (
    "/health/",
    "/metrics",
    "/static/",
    # Where people sign in: a client that still sends its expired token there must not be refused for it.
    "/api/v1/auth/register",
    "/api/v1/auth/login",
    "/api/v1/auth/refresh",
    "/api/v1/auth/jwks",
)

# Every table without a creator, who reads it, and why it has none. `check --database default` fails on any other.
GLOBAL_TABLES = {
    "accounts_user": "accounts: people sign in before there is a creator",
    "accounts_user_groups": "accounts: Django's permissions of staff",
    "accounts_user_user_permissions": "accounts: Django's permissions of staff",
    "accounts_creator": "accounts: the creators themselves",
    "accounts_membership": "accounts: decides which creator a person may act for",
    "accounts_refreshfamily": "accounts: a refresh comes before there is a creator",
    "accounts_refreshtoken": "accounts: a refresh comes before there is a creator",
    "auth_group": "Django: groups of staff",
    "auth_group_permissions": "Django: groups of staff",
    "auth_permission": "Django: permissions of staff",
    "django_admin_log": "admin: what staff changed in global tables; tenant changes go to accounts_auditentry",
    "django_content_type": "Django: names of models",
    "django_migrations": "Django: which migrations ran",
    "django_session": "accounts: a session comes before there is a creator",
    "idempotency_publicanswer": "idempotency: answers to requests before sign-in, sealed",
    "procrastinate_events": "the queue: history of jobs, ids only",
    "procrastinate_jobs": "the queue: the worker reads it before it knows a job's creator; ids only",
    "procrastinate_periodic_defers": "the queue: when periodic jobs last ran",
    "procrastinate_workers": "the queue: which workers live",
}

# ---- Database: one alias, served as hub_app; the owner's credentials are for migrations


def _database(url: str) -> dict[str, str]:
    parts = urlsplit(url)
    return {
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or ""),
        "PORT": str(parts.port or ""),
    }


def _owner() -> dict[str, str]:
    url = get_env_value("DATABASE_OWNER_URL", fallback=True)
    owner = _database(url) if url else {}
    owner.pop("NAME", None)
    return owner


DATABASE_THREADS = get_env_value("DATABASE_THREADS", fallback=True)
DATABASE_READ_CONNECTIONS = get_env_value("DATABASE_READ_CONNECTIONS", fallback=True)
DATABASE_QUEUE = get_env_value("DATABASE_QUEUE", fallback=True)
DATABASE_POOL_TIMEOUT_SECONDS = get_env_value("DATABASE_POOL_TIMEOUT_SECONDS", fallback=True)
# A pool waits twice as long after each failure to connect, for as long as this; then the next request tries at once.
# Longer, and the hub would stay away for minutes after Postgres has come back.
DATABASE_RECONNECT_SECONDS = 1.0
DATABASE_DIRECT_URL = get_env_value("DATABASE_DIRECT_URL", fallback=True)
DATABASES = {
    "default": {
        "ENGINE": "shared.tenancy.backend",
        **_database(get_env_value("DATABASE_URL", fallback=True)),
        "OWNER": _owner(),
        # A server-side cursor outlives its message, and PgBouncer would hand the connection on.
        "DISABLE_SERVER_SIDE_CURSORS": True,
        "OPTIONS": {
            "connect_timeout": 5,
            # Milliseconds. Else a host that vanished without a word is waited for until TCP gives up, a quarter of an
            # hour later, by everything that had sent it something.
            "tcp_user_timeout": 10_000,
            "pool": {
                "min_size": 0,
                "max_size": get_env_value("DATABASE_POOL_SIZE", fallback=True),
                "max_waiting": DATABASE_QUEUE,
                "timeout": DATABASE_POOL_TIMEOUT_SECONDS,
                "reconnect_timeout": DATABASE_RECONNECT_SECONDS,
            },
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# What it looks like when Postgres is gone or busy.
DATABASE_ERRORS = (OperationalError, InterfaceError, psycopg.OperationalError)

# ---- Redis: cache, channel layer, limits

REDIS_URL = get_env_value("REDIS_URL", fallback=True)
CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "cache",
        "KEY_FUNCTION": "shared.tenancy.names.cache_key",
        "OPTIONS": {
            "SOCKET_CONNECT_TIMEOUT": 0.5,
            "SOCKET_TIMEOUT": 0.5,
            # A cache that is gone is an empty cache.
            "IGNORE_EXCEPTIONS": True,
        },
    }
}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "shared.channel_layer.HubChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL], "prefix": "hub"},
    }
}

# ---- Events

EVENTS_KEPT = get_env_value("EVENTS_KEPT", fallback=True)

# ---- The log of searches

SEARCHES_KEPT_DAYS = get_env_value("SEARCHES_KEPT_DAYS", fallback=True)

# ---- Limits: routes with a limit of their own; every other has the default. First match counts.
# Sign-in is counted by the doors, since the pair of address and account stands in the body.

RATE_LIMIT_ROUTES = [
    (r"POST (/api/v1/auth)?/register/?", "register"),
    (r"POST (/api/v1)?/documents(/import|/archive|/from-address|/[^/]+/versions)?/?", "upload"),
    (r"(GET|HEAD) (/api/v1)?/search/?", "search"),
]

# ---- Sign-in

AUTH_USER_MODEL = "accounts.User"
LOGIN_URL = "accounts:sign_in"
LOGIN_REDIRECT_URL = "knowledge:documents"
PASSWORD_HASHERS = ["shared.security.passwords.HubArgon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
# In the database: a restart of Redis signs nobody out, and a session can be ended.
SESSION_ENGINE = "django.contrib.sessions.backends.db"
# A stolen cookie should be worth at most one working day.
SESSION_COOKIE_AGE = get_env_value("SESSION_HOURS", fallback=True) * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
MESSAGE_STORAGE = "django.contrib.messages.storage.cookie.CookieStorage"

# ---- The browser's side of security

HTTPS = PUBLIC_URL.startswith("https://")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
CSRF_FAILURE_VIEW = "config.urls.csrf_failure"
SECURE_SSL_REDIRECT = PRODUCTION and HTTPS
SECURE_REDIRECT_EXEMPT = [r"^health/", r"^metrics$"]  # probes come from inside, without TLS
SECURE_HSTS_SECONDS = 63_072_000 if PRODUCTION and HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = bool(SECURE_HSTS_SECONDS)
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
TRUSTED_PROXIES = get_env_value("TRUSTED_PROXIES", fallback=True)
if TRUSTED_PROXIES:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_CSP = {
    "default-src": [CSP.NONE],
    "script-src": [CSP.SELF],
    "style-src": [CSP.SELF],
    "img-src": [CSP.SELF, "data:"],
    "font-src": [CSP.SELF],
    "connect-src": [CSP.SELF],
    "form-action": [CSP.SELF],
    "base-uri": [CSP.NONE],
    "frame-ancestors": [CSP.NONE],
}

# ---- The admin

UNFOLD = {
    "SITE_TITLE": "Creator Hub",
    "SITE_HEADER": "Creator Hub",
    "SITE_SUBHEADER": "Staff",
    "SITE_SYMBOL": "hub",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("hub/icon.svg")}],
    "SHOW_VIEW_ON_SITE": False,
    "SIDEBAR": {"show_search": False, "show_all_applications": True},
}

# ---- Files

MAX_UPLOAD_BYTES = get_env_value("MAX_UPLOAD_BYTES", fallback=True)
# Never whole in memory, however small: what is true for large files is then true for all.
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.TemporaryFileUploadHandler"]
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
# Addresses that take files; every other takes no more than the line above.
UPLOAD_ROUTE = r"(/api/v1)?/documents(/archive|/[0-9a-f-]{36}/versions)?"
UPLOAD_BODY_BYTES = MAX_UPLOAD_BYTES + 64 * 1024  # the form's fields and its frame
MEDIA_ROOT = DATA_DIR / "media"
STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "shared" / "static"]

if get_env_value("STORAGE_BACKEND", fallback=True) == "s3":
    _default_storage = {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": get_env_value("S3_BUCKET", fallback=True),
            "endpoint_url": get_env_value("S3_ENDPOINT_URL", fallback=True),
            "access_key": get_env_value("S3_ACCESS_KEY", fallback=True),
            "secret_key": get_env_value("S3_SECRET_KEY", fallback=True),
            "region_name": get_env_value("S3_REGION", fallback=True),
            "default_acl": None,
            "file_overwrite": False,
        },
    }
else:
    _default_storage = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(MEDIA_ROOT), "file_permissions_mode": 0o600},
    }
STORAGES = {
    "default": _default_storage,
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"
        if PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}

# ---- Jobs

PROCRASTINATE_ON_APP_READY = None

# ---- Logs: ours is structlog; Django's own configuration is left out

LOGGING_CONFIG = None
configure_logging()
