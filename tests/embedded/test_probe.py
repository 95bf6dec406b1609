"""The probe believes /health/ready and nothing else."""

import http.server
import threading

import pytest

from shared.embedded import places, probe


@pytest.fixture
def answering():
    """A server that answers /health/ready with a status of the test's choice, and notes who was asked for."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked.append((self.path, self.headers["Host"]))
            self.send_response(self.server.status)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked, server.status = [], 200
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("status", "ready"), [(200, True), (503, False), (301, False)])
def test_only_200_means_ready(answering, status, ready):
    answering.status = status

    assert probe.is_ready(answering.server_port) is ready


def test_it_asks_by_a_name_that_the_hub_answers_to(answering, monkeypatch):
    monkeypatch.setenv("ALLOWED_HOSTS", "*.hub.example, hub.example")

    probe.is_ready(answering.server_port)

    assert answering.asked == [("/health/ready", "hub.example")]


def test_any_name_will_do_where_all_are_allowed(monkeypatch):
    monkeypatch.setenv("ALLOWED_HOSTS", "*")

    assert probe.own_name() == "localhost"


def test_no_answer_means_not_ready():
    assert not probe.is_ready(places.free_port(None))
