"""A URL read strictly, in one way only: what is checked is what is connected to."""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import quote, unquote, urljoin, urlsplit

import idna

from shared.config.env_constants import get_env_value
from shared.security.addresses import Address
from shared.security.fetching.errors import UrlInvalid

LONGEST_URL = 2000

_DEFAULT_PORTS = {"http": 80, "https": 443}
# A browser would read a backslash as a slash, others would not; blanks and controls are dropped by some.
_AMBIGUOUS = re.compile(r"[\s\\\x00-\x20\x7f]")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
# A name that ends like this is an address in some spelling: 127.1, 0x7f000001, 2130706433.
_NUMERIC = re.compile(r"(?:\d+|0x[0-9a-f]*)")
# RFC 3986's reserved characters, and the percent sign of what is encoded already.
_KEPT = "%/?:@!$&'()*+,;=~[]"
# Names for one's own machine or network only (RFC 6761, RFC 6762, RFC 8375, RFC 9476, ICANN on .internal).
_INNER = ("localhost", "local", "internal", "intranet", "lan", "home", "corp", "private", "home.arpa", "alt", "onion")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a URL leads. `host` is an ASCII name or an IP address, without brackets."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """Host and port as a Host header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL in its normal form: two that lead to the same place are the same text."""
        return f"{self.scheme}://{self.authority}{self.target}"

    @property
    def filename(self) -> str:
        """The last part of the path; the host where there is none. A stranger's words."""
        return unquote(self.target.partition("?")[0].rpartition("/")[2]) or self.host

    @property
    def address(self) -> Address | None:
        """The IP address that the host is; None for a name."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None

    @property
    def is_inner_name(self) -> bool:
        """Whether the host is a name that only one's own network could know."""
        if self.address is not None:
            return False
        return "." not in self.host or self.host.endswith(tuple(f".{suffix}" for suffix in _INNER))

    def follow(self, location: str) -> "Place":
        """Where a redirect from here leads, a Location header read as latin-1. Raises `UrlInvalid`."""
        encoded = quote(location.strip().encode("latin-1"), safe=f"{_KEPT}#")  # many servers write UTF-8 and blanks
        try:
            return read_url(urljoin(self.url, encoded))
        except ValueError:
            raise UrlInvalid from None


def read_url(url: str) -> Place:
    """Read a stranger's URL. Raises `UrlInvalid` for whatever could be understood in two ways.

    http and https on the ports of IMPORT_PORTS; no user or password; IP addresses in their usual spelling only.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
        host = _read_host(parts.netloc.rpartition(":")[0] if port is not None else parts.netloc)
        target = quote(parts.path or "/", safe=_KEPT) + (f"?{quote(parts.query, safe=_KEPT)}" if parts.query else "")
    except ValueError:
        raise UrlInvalid from None
    if _AMBIGUOUS.search(url) or parts.scheme not in _DEFAULT_PORTS:
        raise UrlInvalid
    port = _DEFAULT_PORTS[parts.scheme] if port is None else port
    allowed = get_env_value("IMPORT_PORTS", fallback=True)
    if port not in allowed:
        raise UrlInvalid(f"Nothing is fetched from port {port}, only from {', '.join(map(str, sorted(allowed)))}.")
    place = Place(parts.scheme, host, port, target)
    if len(place.url) > LONGEST_URL:
        raise UrlInvalid(f"An address may have at most {LONGEST_URL} characters.")
    return place


def _read_host(text: str) -> str:
    """A host's normal form. Raises ValueError; a user's name before it is part of no name, so that raises too."""
    if text.startswith("[") and text.endswith("]"):
        address = ipaddress.IPv6Address(text[1:-1])
        if address.scope_id is not None:
            raise ValueError("a zone is known to one machine only")
        return str(address)
    name = text.lower()
    if not name.isascii():
        name = idna.encode(name, uts46=True).decode()  # full-width digits and dots become plain ones here
    name = name.removesuffix(".")
    labels = name.split(".")
    if _NUMERIC.fullmatch(labels[-1]):
        return str(ipaddress.IPv4Address(name))
    if len(name) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise ValueError("not a name")
    return name
