"""The client that measures: it waits when it is told to, repeats what got lost, and signs in again."""

import asyncio

import httpx
import pytest

from benchmarks.beir import CannotEvaluate
from benchmarks.patient import PatientClient
from tests.benchmarks.stand_in import StandInHub, limited, unreachable

HUB = "http://127.0.0.1:8000"


@pytest.fixture
async def client(hub):
    async with PatientClient(HUB, hub.transport) as client:
        await client.register()
        yield client


def later(request):
    return httpx.Response(503, headers={"Retry-After": "2"})


async def test_a_limit_is_waited_out_however_often_it_is_reached(hub, client, pauses):
    hub.at_first["/usage"] = [limited("3")] * 20

    assert (await client.read("/usage"))["processing"] == 0

    assert pauses == [3.0] * 20
    assert client.waited == 60.0


@pytest.mark.parametrize("said", ["Wed, 21 Oct 2026 07:28:00 GMT", ""])
async def test_a_limit_that_names_no_seconds_is_waited_out_for_one(hub, client, pauses, said):
    hub.at_first["/usage"] = [limited(said)]

    await client.read("/usage")

    assert pauses == [1.0]


async def test_a_long_wait_is_told(hub, client, capsys):
    hub.at_first["/usage"] = [limited("3"), limited("1200")]

    await client.read("/usage")

    assert capsys.readouterr().err == "  the hub's limits ask for a wait of 1200 s\n"


async def test_an_upload_that_got_no_answer_is_repeated_under_its_key(hub, client, pauses):
    hub.at_first["/documents"] = [unreachable, limited(), later]

    answer = await client.call("POST", "/documents", files={"file": ("a.txt", b"text")})

    assert answer.status_code == 202
    assert pauses == [1.0, 3.0, 2.0]
    uploads = [request for request in hub.asked if request.url.path.endswith("/documents")]
    assert len(uploads) == 4
    assert len({request.headers["Idempotency-Key"] for request in uploads}) == 1


async def test_two_uploads_have_two_keys(hub, client):
    for name in ("a", "b"):
        await client.call("POST", "/documents", files={"file": (f"{name}.txt", name.encode())})

    assert len({request.headers["Idempotency-Key"] for request in hub.asked[-2:]}) == 2


async def test_a_hub_that_is_away_for_good_is_not_waited_for(hub, client):
    hub.at_first["/usage"] = [later] * 10

    with pytest.raises(CannotEvaluate, match="/api/v1/usage was refused: status 503"):
        await client.read("/usage")

    assert hub.paths().count("/usage") == 5


async def test_no_hub_at_all(hub):
    hub.at_first["/health/live"] = [unreachable] * 5

    async with PatientClient(HUB, hub.transport) as client:
        with pytest.raises(CannotEvaluate, match=r"No hub answers at http://127.0.0.1:8000 .*make run.*PORT="):
            await client.require_hub()


async def test_something_else_on_that_port(hub):
    hub.at_first["/health/live"] = [lambda request: httpx.Response(404, text="not here")]

    async with PatientClient(HUB, hub.transport) as client:
        with pytest.raises(CannotEvaluate, match=r"is no hub: status 404.*PORT="):
            await client.require_hub()


async def test_a_token_that_has_expired_is_renewed_once_for_all(pauses):
    hub = StandInHub(uses_of_a_token=4)
    async with PatientClient(HUB, hub.transport) as client:
        await client.register()
        for _ in range(4):
            await client.read("/usage")

        answers = await asyncio.gather(*(client.read("/usage") for _ in range(4)))

    assert [answer["processing"] for answer in answers] == [0, 0, 0, 0]
    assert hub.paths().count("/auth/login") == 1


async def test_an_expired_token_without_an_account_is_refused(hub):
    async with PatientClient(HUB, hub.transport) as client:
        with pytest.raises(CannotEvaluate, match="/api/v1/usage was refused: 401, Sign in again"):
            await client.read("/usage")


async def test_a_hub_that_registers_nobody(hub):
    said = {"detail": "Not valid.", "errors": [{"field": "email", "message": "closed", "code": "x"}]}
    hub.at_first["/auth/register"] = [lambda request: httpx.Response(422, json=said)]

    async with PatientClient(HUB, hub.transport) as client:
        with pytest.raises(CannotEvaluate, match=r"registers nobody: 422, Not valid. email: closed"):
            await client.register()


async def test_each_run_is_a_creator_of_its_own(hub):
    async with PatientClient(HUB, hub.transport) as client:
        first, second = await client.register(), await client.register()

    assert first.email != second.email
    assert first.password != second.password


async def test_a_pause_is_a_pause():
    async with PatientClient(HUB) as client:
        began = asyncio.get_running_loop().time()
        await client.pause(0.02)
        assert asyncio.get_running_loop().time() - began >= 0.019
