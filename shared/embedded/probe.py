"""Whether the hub on this machine is ready: for the launcher, and for a container's health check."""

import sys

import httpx

from shared.config.env_constants import get_env_value


def is_ready(port: int) -> bool:
    """What /health/ready says. No answer is a no."""
    try:
        # Straight to our own address, whatever proxy the surroundings name.
        with httpx.Client(trust_env=False, timeout=5) as client:
            answer = client.get(f"http://127.0.0.1:{port}/health/ready", headers={"Host": own_name()})
    except httpx.HTTPError:
        return False
    return answer.status_code == httpx.codes.OK


def own_name() -> str:
    """A name that the hub answers to, whichever names were chosen for it."""
    names = [name for name in get_env_value("ALLOWED_HOSTS", fallback=True) if name[:1] not in "*."]
    return str(names[0]) if names else "localhost"


if __name__ == "__main__":
    sys.exit(not is_ready(get_env_value("PORT", fallback=True)))
