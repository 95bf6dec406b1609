"""Whether the hub on this machine is ready: for the launcher, and for a container's health check."""

import http.client
import sys

from shared.config.env_constants import get_env_value

SECONDS = 5


def is_ready(port: int) -> bool:
    """What /health/ready says. No answer is a no."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request("GET", "/health/ready", headers={"Host": own_name()})
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def own_name() -> str:
    """A name that the hub answers to, whichever names were chosen for it."""
    names = [name for name in get_env_value("ALLOWED_HOSTS", fallback=True) if name[:1] not in "*."]
    return str(names[0]) if names else "localhost"


if __name__ == "__main__":
    sys.exit(not is_ready(get_env_value("PORT", fallback=True)))
