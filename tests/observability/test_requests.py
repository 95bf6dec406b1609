import ipaddress
import subprocess
import sys
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from django.test import override_settings
from structlog.testing import capture_logs

from shared.config.env_constants import child_environment

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "metrics-token-of-the-tests"
LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]


def samples(client, **kwargs):
    """The scrape as `{name{labels}: value}`."""
    lines = client.get("/metrics", **kwargs).content.decode().splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))


# ---- The request's name


def test_every_answer_names_its_request(client):
    first, second = (client.get("/health/live").headers["X-Request-ID"] for _ in range(2))

    assert UUID(first) != UUID(second)


def test_a_strangers_name_for_a_request_is_not_taken(client):
    assert (
        client.get("/health/live", headers={"X-Request-ID": "chosen-by-me"}).headers["X-Request-ID"] != "chosen-by-me"
    )


@override_settings(TRUSTED_PROXIES=LOOPBACK)
@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("0198f2a0-proxy.1", True),
        ("short", False),
        ("x" * 65, False),
        ("with space", False),
        ("line\tbreak-and-more", False),
        ("<script>alert(1)</script>", False),
    ],
)
def test_a_trusted_proxys_name_is_kept_when_it_is_well_formed(client, given, kept):
    answer = client.get("/health/live", headers={"X-Request-ID": given})

    assert (answer.headers["X-Request-ID"] == given) is kept


# ---- The line about it


def test_a_request_is_one_line_with_its_route_and_without_its_query(client):
    with capture_logs() as lines:
        client.get("/api/v1/nothing/at/all?q=my-private-words")

    (line,) = [line for line in lines if line["event"] == "request"]
    assert (line["method"], line["status"], line["route"]) == ("GET", 404, "unrouted")
    assert line["ms"] >= 0
    assert "private" not in str(lines)


def test_the_line_names_the_route_and_not_the_row(client, alice):
    secret = str(uuid4())
    with capture_logs() as lines:
        client.get(f"/api/v1/documents/{secret}", headers=alice.headers)

    (line,) = [line for line in lines if line["event"] == "request"]
    assert secret not in str(lines)
    assert line["route"].startswith("/api/v1/documents/<")
    assert (line["creator_id"], line["user_id"]) == (alice.creator.id, alice.user.id)


def test_probes_write_no_line(client):
    with capture_logs() as lines:
        client.get("/health/live")

    assert lines == []


# ---- The numbers


def test_requests_are_counted_by_route_method_and_class_of_status(client):
    name = 'hub_http_requests_total{method="GET",route="unrouted",status="4xx"}'
    before = float(samples(client).get(name, 0))

    client.get("/api/v1/nothing")
    client.get("/api/v1/nothing/else")

    assert float(samples(client)[name]) == before + 2


def test_a_made_up_method_makes_no_new_series(client):
    client.generic("BREW", "/api/v1/nothing")

    assert not [name for name in samples(client) if "BREW" in name]


def test_no_number_names_a_creator_a_user_or_a_row(client, alice, mallory):
    missing = str(uuid4())
    for person in (alice, mallory):
        client.get(f"/api/v1/documents/{missing}", headers=person.headers)

    scrape = client.get("/metrics").content.decode()
    for word in (alice.creator.id, mallory.creator.id, alice.user.id, "Acme", alice.email, missing):
        assert str(word) not in scrape


def test_this_machine_may_read_the_numbers(client):
    assert client.get("/metrics", REMOTE_ADDR="127.0.0.1").status_code == 200
    assert client.get("/metrics", REMOTE_ADDR="::1").status_code == 200


@pytest.mark.parametrize(
    "request_",
    [
        {"REMOTE_ADDR": "203.0.113.9"},
        {"REMOTE_ADDR": "10.0.0.1"},
        {"REMOTE_ADDR": ""},
        {"REMOTE_ADDR": "127.0.0.1", "headers": {"X-Forwarded-For": "127.0.0.1"}},
        {"REMOTE_ADDR": "127.0.0.1", "headers": {"Forwarded": "for=127.0.0.1"}},
        {"REMOTE_ADDR": "203.0.113.9", "headers": {"X-Forwarded-For": "127.0.0.1"}},
        {"REMOTE_ADDR": "203.0.113.9", "headers": {"Authorization": "Bearer wrong"}},
        {"REMOTE_ADDR": "203.0.113.9", "headers": {"Authorization": "Bearer "}},
    ],
    ids=str,
)
def test_nobody_else_may_without_the_token(client, monkeypatch, request_):
    for token in ("", TOKEN):
        monkeypatch.setenv("METRICS_TOKEN", token)
        answer = client.get("/metrics", **request_)

        assert answer.status_code == 403
        assert answer.json()["code"] == "metrics_not_public"


def test_the_token_opens_them_to_other_machines(client, monkeypatch):
    monkeypatch.setenv("METRICS_TOKEN", TOKEN)

    answer = client.get("/metrics", REMOTE_ADDR="203.0.113.9", headers={"Authorization": f"Bearer {TOKEN}"})

    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain")


def test_a_scrape_adds_up_what_all_processes_counted(tmp_path, client, monkeypatch):
    count = "from shared.observability.metrics import count_request; count_request('GET', '/counted', 200, 0.1)"
    with_folder = child_environment(PROMETHEUS_MULTIPROC_DIR=str(tmp_path))
    for _ in range(2):
        subprocess.run([sys.executable, "-c", count], cwd=ROOT, env=with_folder, check=True)

    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))

    name = 'hub_http_requests_total{method="GET",route="/counted",status="2xx"}'
    assert float(samples(client)[name]) == 2
