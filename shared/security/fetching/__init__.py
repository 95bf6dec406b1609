"""Fetching a stranger's URL without being turned against our own network.

Who names a URL makes this machine open a connection, from inside, past the firewall. So addresses are judged where the
connection is opened, on the very addresses that it is opened to, and at every redirect anew: a name that answers
differently the second time finds nobody who asks twice. See docs/security.md, "Import".
"""

from shared.security.fetching.client import Fetched, fetch
from shared.security.fetching.errors import FetchFailed, every_failure
from shared.security.fetching.urls import Place, read_url

__all__ = ["FetchFailed", "Fetched", "Place", "every_failure", "fetch", "read_url"]
