"""Which addresses belong to the public internet, and are not ours in disguise."""

import ipaddress
from collections.abc import Iterable

from shared.config.kinds import Network
from shared.security.addresses import Address

# IPv6 addresses that are an IPv4 address in other words (RFC 4291 section 2.5.5, RFC 6052): a router, or this machine
# itself, turns them into it.
_IPV4_INSIDE = tuple(ipaddress.ip_network(text) for text in ("::ffff:0:0/96", "64:ff9b::/96"))
# What IANA has given out for the public internet. All the rest is private, local, reserved or yet unknown.
_PUBLIC_IPV6 = ipaddress.ip_network("2000::/3")
# Public by their number, yet no place of a stranger's document.
_SPECIAL = tuple(
    ipaddress.ip_network(text)
    for text in (
        "168.63.129.16/32",  # Azure: the machine's own agent
        "192.0.0.0/24",  # protocols' own; Oracle's metadata
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # relays of AMT
        "192.80.8.124/32",  # Equinix: metadata
        "192.88.99.0/24",  # relays of 6to4
        "192.175.48.0/24",  # AS112
        "2001::/23",  # protocols' own; Teredo, which carries an IPv4 address
        "2002::/16",  # 6to4, which carries an IPv4 address; older Pythons call it global
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)


def is_public(address: Address) -> bool:
    """Whether an address is on the public internet, whatever it is written as."""
    address = seen_plainly(address)
    if isinstance(address, ipaddress.IPv6Address) and (address.scope_id or address not in _PUBLIC_IPV6):
        return False
    if address.is_multicast or not address.is_global:
        return False
    return not is_within(address, _SPECIAL)


def is_within(address: Address, networks: Iterable[Network]) -> bool:
    """Whether an address, or the IPv4 address inside it, lies in one of some networks."""
    address = seen_plainly(address)
    return any(address in network for network in networks)


def seen_plainly(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for; any other as it is."""
    if any(address in network for network in _IPV4_INSIDE):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address
