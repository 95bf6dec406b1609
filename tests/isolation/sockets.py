"""A client of the websocket, on the application itself. (Channels' own needs another server to be imported.)"""

import json

from asgiref.testing import ApplicationCommunicator


class Socket(ApplicationCommunicator):
    """One connection, from the handshake on."""

    def __init__(self, application, path, headers, subprotocols=()):
        address, _, query = path.partition("?")
        super().__init__(
            application,
            {
                "type": "websocket",
                "asgi": {"version": "3.0"},
                "path": address,
                "query_string": query.encode(),
                "headers": list(headers),
                "subprotocols": list(subprotocols),
                "client": ("127.0.0.1", 5000),
                "server": ("127.0.0.1", 80),
            },
        )

    async def connect(self):
        """Whether it stays open, and if not, the code it was closed with.

        A refusal is an open socket that closes before anything is said on it: a browser is told no code otherwise.
        """
        await self.send_input({"type": "websocket.connect"})
        answer = await self.receive_output(timeout=10)
        if answer["type"] == "websocket.accept":
            self.subprotocol = answer["subprotocol"]
            if await self.receive_nothing(timeout=0.1):
                return True, None
            answer = await self.receive_output(timeout=5)
            assert answer["type"] == "websocket.close", answer
        self.reason = answer.get("reason")
        return False, answer["code"]

    async def send_text(self, text):
        await self.send_input({"type": "websocket.receive", "text": text})

    async def send_bytes(self, data):
        await self.send_input({"type": "websocket.receive", "bytes": data})

    async def receive_event(self):
        """The next event, within five seconds."""
        answer = await self.receive_output(timeout=5)
        assert answer["type"] == "websocket.send", answer
        return json.loads(answer["text"])

    async def disconnect(self):
        await self.send_input({"type": "websocket.disconnect", "code": 1000})
        await self.wait(timeout=5)
