"""Where a request comes from. A header says what its sender likes, so only configured proxies are believed."""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from shared.config.kinds import Network

type Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# A socket of the file system has no address. All of them share one.
NO_ADDRESS = "local"


def client_address(request: HttpRequest) -> str:
    """The address of the client, seen through the proxies of TRUSTED_PROXIES, and through no others."""
    return seen_through(
        request.META.get("REMOTE_ADDR", ""), request.META.get("HTTP_X_FORWARDED_FOR", ""), settings.TRUSTED_PROXIES
    )


def client_address_of_socket(scope: dict[str, Any]) -> str:
    """The same for a websocket's ASGI scope."""
    peer = (scope.get("client") or ("", 0))[0]
    forwarded = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
    return seen_through(peer, ",".join(forwarded), settings.TRUSTED_PROXIES)


def came_through_proxy(request: HttpRequest) -> bool:
    """Whether one of our proxies handed the request on, so that its other headers can be believed too."""
    peer = _parse(request.META.get("REMOTE_ADDR", ""))
    return peer is not None and _trusted(peer, settings.TRUSTED_PROXIES)


def seen_through(peer: str, forwarded: str, proxies: Iterable[Network]) -> str:
    """The right-most address that is no trusted proxy's, starting from the peer.

    Each proxy appends whom it heard, so what stands left of the first stranger is that stranger's own claim.
    """
    proxies = list(proxies)
    address = _parse(peer)
    if address is None:
        return NO_ADDRESS
    for claim in reversed(forwarded.split(",")):
        if not _trusted(address, proxies):
            break
        further = _parse(claim)
        if further is None:
            break  # nothing, or nonsense: the proxy itself is the last that is known
        address = further
    return str(address)


@lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """Whom a limit holds for: an IPv4 address, or the /64 that one IPv6 customer has at the least."""
    parsed = _parse(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return address


def _trusted(address: Address, proxies: Iterable[Network]) -> bool:
    return any(address in proxy for proxy in proxies)


@lru_cache(maxsize=4096)
def _parse(text: str) -> Address | None:
    """An address, also as `1.2.3.4:56`, `[::1]:80` or an IPv4 written as IPv6."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address
