"""Fixtures for every test: people and sign-in, real servers, and strangers' servers."""

pytest_plugins = [
    "tests.fixtures.auth_fixtures",
    "tests.fixtures.service_integration_fixtures",
    "tests.fixtures.stranger_fixtures",
]
