"""Whom a fetch reaches, and whom not: 127.0.0.2 is the internet here, 127.0.0.1 stays ours."""

import asyncio
import ipaddress

import pytest

from shared.security.fetching import errors
from shared.security.fetching.connecting import resolve
from tests.strangers import HOME, OURS, TEXT, Names, answer, certificate, fetched, redirect, refused, stranger

pytestmark = pytest.mark.usefixtures("internet")

# ---- Redirects


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_a_redirect_is_followed(site, status):
    site.pages["/old"] = redirect("../new/caf\xc3\xa9 x.txt", status)
    site.pages["/new/caf%C3%A9%20x.txt"] = answer(TEXT)

    said, content = await fetched(site.at("/old"))

    assert content == TEXT
    assert said.url == site.at("/new/caf%C3%A9%20x.txt")
    assert said.filename == "café x.txt"


async def test_five_redirects_are_followed_and_six_are_not(site):
    site.pages |= {f"/{n}": redirect(f"/{n + 1}") for n in range(6)}
    site.pages["/6"] = answer(TEXT)

    assert (await fetched(site.at("/1")))[1] == TEXT
    await refused(errors.UrlRedirects, site.at("/0"))


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:{port}/secret",
        "http://[::1]:{port}/secret",
        "http://[::ffff:127.0.0.1]:{port}/secret",
        "//127.0.0.1:{port}/secret",
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/latest/meta-data/",
    ],
)
async def test_a_redirect_into_our_network_is_not_followed(site, location):
    async with stranger(host=OURS) as secret:
        secret.pages["/secret"] = answer(b"the keys")
        site.pages["/a"] = redirect(location.format(port=secret.port))

        written = await refused(errors.UrlNotPublic, site.at("/a"))

    assert written == b""
    assert secret.asked == []


@pytest.mark.parametrize(
    "location",
    ["http://2130706433/", "file:///etc/passwd", "http://user:word@127.0.0.2/", "http://127.0.0.2:x/", "//["],
)
async def test_a_redirect_is_read_as_strictly_as_the_first_address(site, location):
    site.pages["/a"] = redirect(location)

    await refused(errors.UrlInvalid, site.at("/a"))


async def test_a_redirect_to_nowhere_is_no_document(site):
    site.pages["/a"] = answer(status="302 Found")

    await refused(errors.UrlNotADocument, site.at("/a"))


# ---- Names and addresses


async def test_a_name_leads_to_its_address_and_is_sent_as_the_host(site):
    site.pages["/a"] = answer(TEXT)
    names = Names([HOME])

    assert (await fetched(site.at("/a", "docs.example"), resolver=names))[1] == TEXT
    assert f"Host: docs.example:{site.port}\r\n" in site.asked[0]
    assert names.asked == ["docs.example"]


@pytest.mark.parametrize("host", [OURS, "[::1]", "[::ffff:7f00:1]", "10.0.0.1", "169.254.169.254", "0.0.0.0"])
async def test_an_address_of_ours_is_refused(host):
    async with stranger(host=OURS) as secret:
        await refused(errors.UrlNotPublic, secret.at("/", host))

    assert secret.asked == []


@pytest.mark.parametrize(
    "addresses",
    [
        [OURS],
        [HOME, OURS],
        [OURS, HOME],
        ["::1"],
        [HOME, "fe80::1%lo"],
        ["8.8.8.8", "192.168.1.1"],
    ],
)
async def test_one_private_address_of_a_name_is_one_too_many(site, addresses):
    await refused(errors.UrlNotPublic, site.at("/a", "docs.example"), resolver=Names(addresses))

    assert site.asked == []


async def test_a_name_that_answers_differently_the_second_time_is_asked_once(site):
    site.pages["/a"] = answer(TEXT)
    names = Names([HOME], [OURS])

    async with stranger(host=OURS) as secret:
        _, content = await fetched(site.at("/a", "rebind.example"), resolver=names)

    assert content == TEXT
    assert secret.asked == []
    assert names.asked == ["rebind.example"]


async def test_a_name_that_answers_differently_after_a_redirect_is_judged_anew(site):
    site.pages["/a"] = redirect("/b")
    site.pages["/b"] = answer(TEXT)
    names = Names([HOME], [OURS])

    await refused(errors.UrlNotPublic, site.at("/a", "rebind.example"), resolver=names)

    assert len(site.asked) == 1


async def test_the_next_address_is_tried_when_one_does_not_answer(site, monkeypatch):
    monkeypatch.setenv("IMPORT_ALLOWED_NETWORKS", "127.0.0.2/31")
    site.pages["/a"] = answer(TEXT)

    assert (await fetched(site.at("/a", "docs.example"), resolver=Names(["127.0.0.3", HOME])))[1] == TEXT


@pytest.mark.parametrize(
    "name", ["localhost", "db", "printer.local", "wiki.corp.internal", "x.localhost", "nas.home.arpa"]
)
async def test_a_name_of_an_inner_network_is_refused_unasked(name, monkeypatch):
    monkeypatch.setenv("IMPORT_ALLOWED_NETWORKS", "")
    names = Names(["8.8.8.8"])

    await refused(errors.UrlNotPublic, f"http://{name}/", resolver=names)

    assert names.asked == []


async def test_a_name_of_an_inner_network_leads_to_allowed_networks_only(site):
    site.pages["/a"] = answer(TEXT)

    assert (await fetched(site.at("/a", "wiki.internal"), resolver=Names([HOME])))[1] == TEXT
    await refused(errors.UrlNotPublic, site.at("/a", "wiki.internal"), resolver=Names(["8.8.8.8"]))


async def test_a_name_of_an_inner_network_that_does_not_exist_looks_like_one_that_does(site):
    async def nobody(name):
        raise OSError("no such name")

    await refused(errors.UrlNotPublic, site.at("/a", "wiki.internal"), resolver=nobody)
    await refused(errors.UrlUnreachable, site.at("/a", "wiki.example"), resolver=nobody)


async def test_an_operator_can_refuse_a_network_that_is_public(site, monkeypatch):
    monkeypatch.setenv("IMPORT_REFUSED_NETWORKS", f"{HOME}/32,8.8.8.0/24")

    await refused(errors.UrlNotPublic, site.at("/a"))
    await refused(errors.UrlNotPublic, "http://8.8.8.8/")


async def test_a_public_address_is_connected_to(monkeypatch):
    monkeypatch.setattr("shared.security.fetching.connecting.is_public", lambda address: str(address) == OURS)

    async with stranger(host=OURS) as site:
        site.pages["/a"] = answer(TEXT)

        assert (await fetched(site.at("/a", OURS)))[1] == TEXT


async def test_a_name_server_that_says_nothing_is_not_waited_for(site, monkeypatch):
    monkeypatch.setattr("shared.security.fetching.connecting.RESOLVE_SECONDS", 0.05)

    async def silent(name):
        await asyncio.sleep(60)

    await refused(errors.UrlUnreachable, site.at("/a", "docs.example"), resolver=silent)


async def test_the_machines_own_resolver_is_asked_off_the_event_loop():
    found = await resolve("localhost")

    assert found
    assert all(ipaddress.ip_address(text).is_loopback for text in found)


async def test_nobody_listens(site):
    await refused(errors.UrlUnreachable, f"http://{HOME}:{OURS_CLOSED_PORT}/")


OURS_CLOSED_PORT = 1024  # below what the kernel gives out, and taken by nobody


# ---- TLS


async def test_a_certificate_for_the_name_is_accepted_and_the_name_is_sent(tmp_path, monkeypatch):
    tls, file = certificate(tmp_path, "docs.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    sent = []
    tls.sni_callback = lambda connection, name, context: sent.append(name)

    async with stranger(tls=tls) as site:
        site.pages["/a"] = answer(TEXT)

        assert (await fetched(site.at("/a", "docs.example"), resolver=Names([HOME])))[1] == TEXT
        assert (await fetched(site.at("/a")))[1] == TEXT  # by its address, which the certificate names as well
    assert sent[0] == "docs.example"


async def test_a_certificate_for_another_name_is_refused(tmp_path, monkeypatch):
    tls, file = certificate(tmp_path, "docs.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))

    async with stranger(tls=tls) as site:
        await refused(errors.UrlNotTrusted, site.at("/a", "other.example"), resolver=Names([HOME]))

    assert site.asked == []


async def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path):
    tls, _ = certificate(tmp_path, "docs.example")

    async with stranger(tls=tls) as site:
        await refused(errors.UrlNotTrusted, site.at("/a", "docs.example"), resolver=Names([HOME]))


async def test_no_redirect_leads_from_https_to_http(tmp_path, monkeypatch, site):
    tls, file = certificate(tmp_path, "docs.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    site.pages["/b"] = answer(TEXT)

    async with stranger(tls=tls) as safe:
        safe.pages["/a"] = redirect(site.at("/b"))
        await refused(errors.UrlRedirects, safe.at("/a"))

        site.pages["/up"] = redirect(safe.at("/c"))
        safe.pages["/c"] = answer(TEXT)
        assert (await fetched(site.at("/up")))[1] == TEXT


async def test_a_server_without_tls_is_unreachable_by_https(internet):
    async def plain(reader, writer):
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with await asyncio.start_server(plain, HOME, 0) as server:
        await refused(errors.UrlUnreachable, f"https://{HOME}:{server.sockets[0].getsockname()[1]}/")


async def test_a_server_that_falls_silent_during_its_greeting_is_unreachable(monkeypatch):
    monkeypatch.setattr("shared.security.fetching.client.CONNECT_SECONDS", 0.1)

    async def silent(reader, writer):
        await reader.read()

    async with await asyncio.start_server(silent, HOME, 0) as server:
        await refused(errors.UrlUnreachable, f"https://{HOME}:{server.sockets[0].getsockname()[1]}/", seconds=60)
