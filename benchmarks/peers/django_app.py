"""The stock Django peer as servers start it."""

from django.core.asgi import get_asgi_application

from shared.config.env_constants import use_settings

use_settings("benchmarks.peers.django_settings")

application = get_asgi_application()
