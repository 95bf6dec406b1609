"""Fixtures for every test: people and sign-in in `auth_fixtures`, the rest in `service_integration_fixtures`."""

pytest_plugins = ["tests.fixtures.auth_fixtures", "tests.fixtures.service_integration_fixtures"]
