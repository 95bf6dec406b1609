"""The addresses of `settings.LEAN_PATHS`, which the lean handler answers."""

from django.urls import path

from config.api import api
from shared.http import static_file
from shared.observability.health import live, ready
from shared.observability.metrics import metrics

urlpatterns = [
    path("api/v1/", api.urls),
    path("health/live", live, name="live"),
    path("health/ready", ready, name="ready"),
    path("metrics", metrics, name="metrics"),
    path("static/<path:path>", static_file),
]
