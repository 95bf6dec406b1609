"""The addresses of `settings.MACHINE_PATHS`, which the lean handler answers."""

from django.urls import path

from config.api import api
from shared.observability.health import live, ready
from shared.observability.metrics import metrics

urlpatterns = [
    path("api/v1/", api.urls),
    path("health/live", live, name="live"),
    path("health/ready", ready, name="ready"),
    path("metrics", metrics, name="metrics"),
]
