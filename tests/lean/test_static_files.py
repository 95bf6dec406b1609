"""Static files, from where they were written or from where production collects them, and nothing beside them."""

import pytest
from django.http import Http404
from django.test import RequestFactory

from shared.http import collected_file, uncollected_file

# Everything that is not inside the folder, and the folder itself.
NOWHERE = [
    "../secret.txt",
    "hub/../../secret.txt",
    "/etc/passwd",
    "hub",
    "",
    "hub/nothing.css",
    "hub\x00.css",
    "a" * 300,
]


@pytest.fixture
def collected(tmp_path, settings):
    """Production's folder with two files in it, and a secret beside it."""
    (tmp_path / "static" / "hub").mkdir(parents=True)
    (tmp_path / "static" / "hub" / "page.1234.css").write_text("body {}")
    (tmp_path / "static" / "hub" / "page.unheard-of").write_text("<script>")
    (tmp_path / "secret.txt").write_text("secret")
    settings.STATIC_ROOT = str(tmp_path / "static")


async def test_a_collected_file_may_be_kept_for_ever(collected):
    answer = await collected_file(RequestFactory().get("/"), "hub/page.1234.css")

    assert (answer.status_code, answer.content) == (200, b"body {}")
    assert answer.headers["Content-Type"] == "text/css"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_what_is_of_no_known_type_is_not_shown(collected):
    answer = await collected_file(RequestFactory().get("/"), "hub/page.unheard-of")

    assert answer.headers["Content-Type"] == "application/octet-stream"


@pytest.mark.parametrize("path", NOWHERE)
async def test_nothing_but_a_file_in_the_folder_is_served(collected, path):
    with pytest.raises(Http404):
        await collected_file(RequestFactory().get("/"), path)


async def test_an_uncollected_file_is_asked_for_each_time():
    answer = await uncollected_file(RequestFactory().get("/"), "hub/tokens.css")

    assert answer.status_code == 200
    assert answer.content.startswith(b"/*")
    assert answer.headers["Content-Type"] == "text/css"
    assert answer.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("path", NOWHERE)
async def test_nothing_but_a_static_file_is_served(path):
    with pytest.raises(Http404):
        await uncollected_file(RequestFactory().get("/"), path)


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/static/../manage.py", "/static/%2e%2e/%2e%2e/manage.py", "/static/hub/none.css"])
def test_over_http_a_wrong_path_is_an_ordinary_404(client, path):
    assert client.get(path).status_code == 404
    assert client.get("/static/hub/tokens.css").status_code == 200


@pytest.mark.django_db
def test_production_serves_what_was_collected_and_development_what_was_written(client, collected, settings):
    hashed, plain = "/static/hub/page.1234.css", "/static/hub/tokens.css"
    assert [client.get(path).status_code for path in (hashed, plain)] == [404, 200]

    settings.PRODUCTION = True
    assert [client.get(path).status_code for path in (hashed, plain)] == [200, 404]
