"""What a fetch asks for, takes and refuses, against real servers that mean no good."""

import asyncio
import gzip
import zlib

import pytest

from shared.security.fetching import errors
from tests.strangers import HOME, TEXT, Names, answer, fetched, redirect, refused

pytestmark = pytest.mark.usefixtures("internet")


async def test_a_document_comes_with_what_its_server_says(site):
    site.pages["/notes/herons.txt"] = answer(
        TEXT, content_type="Text/Plain; charset=utf-8", etag='"one"', last_modified="Tue, 03 Nov 2026 10:00:00 GMT"
    )

    said, content = await fetched(site.at("/notes/herons.txt"))

    assert content == TEXT
    assert said.url == site.at("/notes/herons.txt")
    assert (said.media_type, said.filename, said.bytes) == ("text/plain", "herons.txt", len(TEXT))
    assert (said.etag, said.last_modified) == ('"one"', "Tue, 03 Nov 2026 10:00:00 GMT")
    assert not said.not_modified


async def test_a_request_carries_nothing_that_belongs_to_the_hub(site, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    site.pages["/a"] = answer(b"", "302 Found", location="/b", set_cookie="track=me")
    site.pages["/b"] = answer(TEXT)

    await fetched(site.at("/a#part"))

    names = {line.partition(":")[0] for request in site.asked for line in request.strip().split("\r\n")[1:]}
    assert names == {"Host", "User-Agent", "Accept", "Accept-Encoding", "Connection"}
    assert all(f"Host: {HOME}:{site.port}\r\n" in request for request in site.asked)


async def test_an_unchanged_document_is_not_sent_again(site):
    site.pages["/a"] = answer(status="304 Not Modified")

    said, content = await fetched(site.at("/a"), etag='"one"', last_modified="Tue, 03 Nov 2026 10:00:00 GMT")

    assert said.not_modified
    assert content == b""
    assert 'If-None-Match: "one"\r\nIf-Modified-Since: Tue, 03 Nov 2026 10:00:00 GMT\r\n' in site.asked[0]


async def test_not_modified_without_having_asked_is_no_document(site):
    site.pages["/a"] = answer(status="304 Not Modified")

    await refused(errors.UrlNotADocument, site.at("/a"))


@pytest.mark.parametrize(
    ("disposition", "filename"),
    [
        ('attachment; filename="report one.pdf"', "report one.pdf"),
        ("attachment; filename*=UTF-8''r%C3%A9sum%C3%A9.pdf", "résumé.pdf"),
        ("attachment; filename=\"a.pdf\"; filename*=UTF-8''%C3%A4.pdf", "ä.pdf"),
        ("attachment", "download.php"),
        ("attachment; filename*=nonsense'x'%ff", "download.php"),
        (f"attachment; filename={'x' * 20_000}", "download.php"),
    ],
)
async def test_the_server_may_name_the_file(site, disposition, filename):
    site.pages["/files/download.php?id=7"] = answer(TEXT, content_disposition=disposition)

    said, _ = await fetched(site.at("/files/download.php?id=7"))

    assert said.filename == filename


@pytest.mark.parametrize(("path", "filename"), [("/a/b%C3%A4.txt", "bä.txt"), ("/", HOME), ("/x/", HOME)])
async def test_else_the_path_names_it_or_the_host(site, path, filename):
    site.pages[path] = answer(TEXT)

    assert (await fetched(site.at(path)))[0].filename == filename


@pytest.mark.parametrize("etag", ['"' + "x" * 300 + '"', '"\xe4"'])
async def test_a_validator_that_cannot_be_sent_back_is_forgotten(site, etag):
    site.pages["/a"] = answer(TEXT, etag=etag)

    assert (await fetched(site.at("/a")))[0].etag == ""


# ---- Answers that are none, or too much


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("204 No Content", errors.UrlNotADocument),
        ("206 Partial Content", errors.UrlNotADocument),
        ("300 Choose", errors.UrlNotADocument),
        ("401 Unauthorized", errors.UrlRefused),
        ("403 Forbidden", errors.UrlRefused),
        ("404 Not Found", errors.UrlRefused),
        ("429 Too Many", errors.UrlUnreachable),
        ("500 Oh", errors.UrlUnreachable),
        ("503 Later", errors.UrlUnreachable),
    ],
)
async def test_a_status_has_its_reason(site, status, reason):
    site.pages["/a"] = answer(b"" if status.startswith("204") else TEXT, status)

    assert await refused(reason, site.at("/a")) == b""


async def test_an_empty_answer_is_no_document(site):
    site.pages["/a"] = answer(b"")

    await refused(errors.UrlNotADocument, site.at("/a"))


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("br", bytes)])
async def test_a_compressed_answer_is_refused_before_it_is_read(site, encoding, pack):
    site.pages["/a"] = answer(pack(b"\0" * 5_000_000), content_encoding=encoding)

    assert await refused(errors.UrlNotADocument, site.at("/a")) == b""


async def test_an_announced_giant_is_refused_before_it_is_read(site):
    site.pages["/a"] = answer(TEXT, content_length="10000001")

    assert await refused(errors.UrlTooLarge, site.at("/a")) == b""


async def test_exactly_the_limit_is_taken_and_one_byte_more_is_not(site):
    site.pages["/a"] = answer(TEXT)

    assert (await fetched(site.at("/a"), most_bytes=len(TEXT)))[1] == TEXT
    await refused(errors.UrlTooLarge, site.at("/a"), most_bytes=len(TEXT) - 1)


async def test_an_endless_body_ends_at_the_limit(site):
    async def endless(writer):
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    site.pages["/a"] = endless

    assert len(await refused(errors.UrlTooLarge, site.at("/a"), most_bytes=1_000_000)) <= 1_000_000


async def test_endless_frames_around_a_small_body_end_as_well(site):
    async def frames(writer):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1;" + b"e" * 1000 + b"\r\nx\r\n")
            await writer.drain()

    site.pages["/a"] = frames

    await refused(errors.UrlNotADocument, site.at("/a"), most_bytes=100_000)


async def test_a_chunked_document_is_taken(site):
    site.pages["/a"] = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (TEXT, TEXT))
        + b"0\r\n\r\n"
    )

    assert (await fetched(site.at("/a")))[1] == TEXT + TEXT


async def test_a_large_document_is_written_whole(site):
    large = bytes(range(256)) * 12_345
    site.pages["/a"] = answer(large)

    assert (await fetched(site.at("/a")))[1] == large


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n" * 5_000,
    ],
    ids=["many", "long", "early"],
)
async def test_headers_without_end_are_no_document(site, head):
    site.pages["/a"] = head + TEXT

    await refused(errors.UrlNotADocument, site.at("/a"))


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\0" * 100,
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\ncut off",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffffffffffffffff\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello",
        b"HTTP/1.1 200 OK\r\nX: \0\r\n\r\n",
    ],
    ids=range(10),
)
async def test_what_is_not_http_or_ends_too_early_is_unreachable(site, said):
    site.pages["/a"] = said

    await refused(errors.UrlUnreachable, site.at("/a"))


async def test_a_slow_drip_ends_with_the_time(site):
    async def drip(writer):
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    site.pages["/a"] = drip

    await refused(errors.UrlTooSlow, site.at("/a"), seconds=0.4)


async def test_redirects_share_one_time(site):
    async def slow(writer):
        await asyncio.sleep(0.3)
        writer.write(redirect("/a"))

    site.pages["/a"] = slow

    await refused(errors.UrlTooSlow, site.at("/a"), seconds=0.8)


async def test_a_server_that_falls_silent_is_given_up_early(site, monkeypatch):
    monkeypatch.setattr("shared.security.fetching.client.READ_SECONDS", 0.1)

    async def silent(writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx")
        await asyncio.sleep(5)

    site.pages["/a"] = silent

    await refused(errors.UrlTooSlow, site.at("/a"), seconds=60)


async def test_an_invalid_address_is_refused_without_a_question():
    names = Names([HOME])

    await refused(errors.UrlInvalid, "http://user@docs.example/", resolver=names)

    assert names.asked == []
