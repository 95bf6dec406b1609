"""The queue's own worker, on the tests' database, until the queue is empty."""

import asyncio

from django.db import connection
from procrastinate import PsycopgConnector
from procrastinate.contrib.django import app


def work_until_done(concurrency=1):
    """Run every job that waits, as the worker process would: plain psycopg for the queue, the kernel for the rows."""

    async def work():
        told = connection.settings_dict
        connector = PsycopgConnector(
            kwargs={
                "dbname": told["NAME"],
                "user": told["USER"],
                "password": told["PASSWORD"],
                "host": told["HOST"],
                "port": told["PORT"],
            }
        )
        with app.replace_connector(connector):
            async with app.open_async():
                await app.run_worker_async(
                    wait=False, concurrency=concurrency, install_signal_handlers=False, listen_notify=False
                )

    asyncio.run(work())
