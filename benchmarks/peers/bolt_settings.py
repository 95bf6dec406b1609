"""Settings of the django-bolt peer: the stock Django peer's, without a URL configuration or middleware of Django's."""

from benchmarks.peers import django_settings as stock

SECRET_KEY = stock.SECRET_KEY
ALLOWED_HOSTS = stock.ALLOWED_HOSTS
INSTALLED_APPS = ["benchmarks.peers", "django_bolt"]
BOLT_API = ["benchmarks.peers.bolt_app:api"]
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"
DATABASES = stock.DATABASES

# Both say that logging is set up already: the first to Django, the second to Bolt, which would replace the handlers.
LOGGING_CONFIG = None
LOGGING = {}
