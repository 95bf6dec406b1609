"""What the deployment checks would look for, were it not for `SILENCED_SYSTEM_CHECKS`."""

import pytest
from django.conf import settings
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.csp import ContentSecurityPolicyMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django.middleware.security import SecurityMiddleware
from django.utils.module_loading import import_string

INSTALLED = [import_string(path) for path in settings.MIDDLEWARE]


@pytest.mark.parametrize(
    "needed",
    [SecurityMiddleware, XFrameOptionsMiddleware, CsrfViewMiddleware, ContentSecurityPolicyMiddleware],
    ids=lambda needed: needed.__name__,
)
def test_pages_have_each_of_djangos_protections(needed):
    assert any(issubclass(installed, needed) for installed in INSTALLED if isinstance(installed, type))


def test_every_middleware_is_native_async_or_skips_the_api():
    from shared.http import _PagesOnly

    for installed in INSTALLED:
        native = not getattr(installed, "sync_capable", True) or installed.__name__ == "HtmxMiddleware"
        assert native or issubclass(installed, _PagesOnly), installed


def test_only_the_three_checks_that_are_tested_here_are_silenced():
    assert settings.SILENCED_SYSTEM_CHECKS == ["security.W001", "security.W002", "security.W003"]
