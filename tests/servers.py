"""Real servers for the tests, before Django reads its settings. Loaded by `addopts = -p tests.servers`.

`DATABASE_URL` and `REDIS_URL` are used when given; else containers where a Docker engine answers; else the embedded
servers. Each xdist worker has a Redis database of its own; pytest-django gives it a Postgres database of its own.
"""

import os
import tempfile

os.environ.setdefault("HUB_ENV", "testing")

if "PYTEST_XDIST_WORKER" not in os.environ:
    from shared.embedded.testing import provide_servers

    provide_servers()
else:
    # The controller's servers; the last part of the URL is the number of the Redis database.
    number = int(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw")) + 1
    base, _, _ = os.environ["REDIS_URL"].rpartition("/")
    os.environ["REDIS_URL"] = f"{base}/{number}"

os.environ["DATA_DIR"] = tempfile.mkdtemp(prefix="hub-tests-")
