"""What the deployment checks would look for, were it not for `SILENCED_SYSTEM_CHECKS`."""

from inspect import iscoroutinefunction

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


def test_nothing_on_the_machines_way_hops_to_a_thread_or_needs_a_browser():
    for path in settings.LEAN_MIDDLEWARE:
        middleware = import_string(path)

        assert iscoroutinefunction(middleware.__call__), path
        assert not middleware.sync_capable, path
        assert not hasattr(middleware, "process_view"), f"{path}: the lean handler calls no hooks"
        assert not hasattr(middleware, "process_exception"), f"{path}: the lean handler calls no hooks"


def test_the_silenced_check_is_one_that_is_tested_here():
    assert settings.SILENCED_SYSTEM_CHECKS == ["security.W003"]
    assert issubclass(import_string("shared.http.CsrfViewMiddleware"), CsrfViewMiddleware)
