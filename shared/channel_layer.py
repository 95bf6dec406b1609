"""The channel layer: channels-redis over publish and subscribe, sending on a line that all senders share."""

import asyncio
from typing import Any
from uuid import uuid4

from channels_redis.pubsub import RedisPubSubChannelLayer, RedisPubSubLoopLayer
from channels_redis.utils import _wrap_close
from django.conf import settings

from shared.redis_line import RedisLine

_SILENT_SECONDS = 2.0


class HubChannelLayer(RedisPubSubChannelLayer):  # type: ignore[misc]  # no stubs
    """channels-redis's. Its own way of sending takes a lock, a client and a connection for each message in turn."""

    def _get_layer(self) -> Any:
        loop = asyncio.get_running_loop()
        if loop not in self._layers:
            self._layers[loop] = _LoopLayer(*self._args, **self._kwargs, channel_layer=self)
            _wrap_close(self, loop)  # the layer ends with its loop
        return self._layers[loop]


class _LoopLayer(RedisPubSubLoopLayer):  # type: ignore[misc]  # no stubs
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.line = RedisLine(settings.REDIS_URL, patience=_SILENT_SECONDS)

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        """Raises redis-py's errors, or `TimeoutError`, when Redis does not take it."""
        await self.line.send("PUBLISH", self._get_group_channel_name(group), self.channel_layer.serialize(message))

    async def new_channel(self, prefix: str = "specific.") -> str:
        """As channels-redis's, which would keep the queue of a channel that could not be subscribed to."""
        channel = f"{self.prefix}{prefix}{uuid4().hex}"
        try:
            await self._subscribe_to_channel(channel)
        except BaseException:
            self.channels.pop(channel, None)
            raise
        return channel

    async def forget_channel(self, channel: str) -> None:
        """End a channel. channels-redis does only when whoever receives on it is cancelled while waiting."""
        if self.channels.pop(channel, None) is not None:
            await self._get_shard(channel).unsubscribe(channel)

    async def flush(self) -> None:
        await self.line.close()
        await super().flush()
