import ipaddress

import pytest
from django.test import RequestFactory, override_settings

from shared.security.addresses import (
    came_through_proxy,
    client_address,
    client_address_of_socket,
    network_of,
    seen_through,
)

PROXIES = [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")]

SEEN = [
    # peer, X-Forwarded-For, who it is
    ("203.0.113.9", "", "203.0.113.9"),
    ("203.0.113.9", "1.2.3.4", "203.0.113.9"),  # a stranger's claim
    ("10.0.0.1", "1.2.3.4", "1.2.3.4"),
    ("10.0.0.1", "6.6.6.6, 1.2.3.4", "1.2.3.4"),  # the client's own claim stands on the left
    ("10.0.0.1", "6.6.6.6, 1.2.3.4, 10.0.0.2", "1.2.3.4"),
    ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),  # one of ours asks
    ("10.0.0.1", "", "10.0.0.1"),
    ("10.0.0.1", "nonsense", "10.0.0.1"),
    ("10.0.0.1", "1.2.3.4, nonsense", "10.0.0.1"),
    ("10.0.0.1", "1.2.3.4:5678", "1.2.3.4"),
    ("10.0.0.1", '"[2001:db8::1]:443"', "2001:db8::1"),
    ("fd00::1", "2001:db8::1", "2001:db8::1"),
    ("::ffff:10.0.0.1", "::ffff:1.2.3.4", "1.2.3.4"),
    ("", "1.2.3.4", "local"),
]


@pytest.mark.parametrize(("peer", "forwarded", "client"), SEEN)
def test_who_is_seen_through_the_proxies(peer, forwarded, client):
    assert seen_through(peer, forwarded, PROXIES) == client


def test_without_proxies_nobody_is_believed():
    assert seen_through("10.0.0.1", "1.2.3.4", []) == "10.0.0.1"


@override_settings(TRUSTED_PROXIES=PROXIES)
def test_requests_and_sockets_are_seen_alike():
    request = RequestFactory().get("/", REMOTE_ADDR="10.0.0.1", headers={"X-Forwarded-For": "6.6.6.6, 1.2.3.4"})
    scope = {
        "client": ("10.0.0.1", 5000),
        "headers": [(b"x-forwarded-for", b"6.6.6.6"), (b"x-forwarded-for", b"1.2.3.4")],
    }

    assert client_address(request) == "1.2.3.4"
    assert client_address_of_socket(scope) == "1.2.3.4"
    assert client_address_of_socket({"client": None, "headers": []}) == "local"


@override_settings(TRUSTED_PROXIES=PROXIES)
def test_only_our_proxies_count_as_such():
    assert came_through_proxy(RequestFactory().get("/", REMOTE_ADDR="10.9.9.9"))
    assert not came_through_proxy(RequestFactory().get("/", REMOTE_ADDR="203.0.113.9"))
    assert not came_through_proxy(RequestFactory().get("/", REMOTE_ADDR=""))


def test_an_ipv6_customer_is_one_customer():
    assert network_of("2001:db8:1:2:3::4") == network_of("2001:db8:1:2:ffff::1") == "2001:db8:1:2::/64"
    assert network_of("2001:db8:1:3::1") != network_of("2001:db8:1:2::1")
    assert network_of("1.2.3.4") == "1.2.3.4"
    assert network_of("local") == "local"
