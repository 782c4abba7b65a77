"""Messages to people who have not written for 24 hours: a template that Meta approved for the business.

The waiting reply stays in the outbox and is sent once they write; the template asks them to.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from whatsapp_gateway.graph.api import GraphApi, Sent
from whatsapp_gateway.metrics import Metrics
from whatsapp_gateway.outbound.rendering import recipient

REPEAT_SECONDS: Final = 24 * 3600.0
"""A person is asked at most this often: templates cost money, and more of them would be spam."""
SEND_SECONDS: Final = 15.0
MOST_REMEMBERED: Final = 100_000

_Pair = tuple[str, str]
"""A number of ours, and an id of a person."""


@dataclass(frozen=True, slots=True)
class Template:
    """A template without parameters. language is as `en_US`."""

    name: str
    language: str


class WindowTemplates:
    """template None: nothing is sent, and people get waiting replies when they write by themselves.

    now is a monotonic clock in seconds. Only this process remembers who was asked.
    """

    def __init__(self, graph: GraphApi, metrics: Metrics, template: Template | None, now: Callable[[], float]) -> None:
        self._graph = graph
        self._metrics = metrics
        self._template = template
        self._now = now
        self._asked_at: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    def window_closed(self, number: str, *user_ids: str) -> None:
        """A reply could not be sent to a person, known by these ids, the best first: ask them to write.

        In the background. A person who was asked under any of their ids is not asked again.
        """
        to = recipient(user_ids[0]) if user_ids else None
        pairs = [(number, user_id) for user_id in user_ids]
        if self._template is None or to is None or self._asked_lately(pairs):
            return
        language = {"code": self._template.language}
        body = to | {"type": "template", "template": {"name": self._template.name, "language": language}}
        task = asyncio.create_task(self._send(number, pairs, body))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Wait for the sends in progress."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _asked_lately(self, pairs: Sequence[_Pair]) -> bool:
        now = self._now()
        asked_at = max((self._asked_at[pair] for pair in pairs if pair in self._asked_at), default=now - REPEAT_SECONDS)
        lately = now - asked_at < REPEAT_SECONDS
        self._remember(pairs, asked_at if lately else now)
        return lately

    def _remember(self, pairs: Sequence[_Pair], at: float) -> None:
        for pair in pairs:
            self._asked_at[pair] = at
            self._asked_at.move_to_end(pair)
        while (
            len(self._asked_at) > MOST_REMEMBERED or self._now() - next(iter(self._asked_at.values())) >= REPEAT_SECONDS
        ):
            self._asked_at.popitem(last=False)

    async def _send(self, number: str, pairs: Sequence[_Pair], body: dict[str, object]) -> None:
        result = await self._graph.send(number, body, SEND_SECONDS)
        if isinstance(result, Sent):
            self._metrics.templates.labels("sent").inc()
            return
        self._metrics.templates.labels("failed").inc()
        # They may be asked again with the next waiting reply.
        for pair in pairs:
            self._asked_at.pop(pair, None)
