"""Fixtures for every test. People and sign-in: `auth_fixtures`; servers, hops, storage: `service_integration_fixtures`."""

pytest_plugins = ["tests.fixtures.auth_fixtures", "tests.fixtures.service_integration_fixtures"]
