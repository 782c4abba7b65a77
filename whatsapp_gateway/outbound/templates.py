"""Messages to people who have not written for 24 hours: a template that Meta approved for the business.

The waiting reply stays in the outbox and is sent once they write; the template asks them to.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from whatsapp_gateway.graph.api import GraphApi, Refused, Sent
from whatsapp_gateway.kernel.client import KernelClient
from whatsapp_gateway.kernel.errors import KernelCallError
from whatsapp_gateway.metrics import Metrics
from whatsapp_gateway.outbound.rendering import recipient

REPEAT_SECONDS: Final = 24 * 3600.0
"""A person is asked at most this often: templates cost money, and more of them would be spam."""
SEND_SECONDS: Final = 15.0
CLAIM_SECONDS: Final = 10.0
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

    The kernel service grants one template a day for a person, to one gateway; this process remembers those that need no
    question. now is a monotonic clock in seconds. instance_id is unique to this process.
    """

    def __init__(  # noqa: PLR0917 - one argument per service behind it
        self,
        graph: GraphApi,
        kernel: KernelClient,
        metrics: Metrics,
        template: Template | None,
        instance_id: str,
        now: Callable[[], float],
    ) -> None:
        self._graph = graph
        self._kernel = kernel
        self._metrics = metrics
        self._template = template
        self._instance_id = instance_id
        self._now = now
        self._asked_at: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    def window_closed(self, number: str, reply_id: str, *user_ids: str) -> None:
        """A reply could not be sent to a person, known by these ids, the best first: ask them to write.

        In the background. A person who was asked under any of their ids is not asked again.
        """
        to = recipient(user_ids[0]) if user_ids else None
        pairs = [(number, user_id) for user_id in user_ids]
        if self._template is None or to is None or self._asked_lately(pairs):
            return
        language = {"code": self._template.language}
        body = to | {"type": "template", "template": {"name": self._template.name, "language": language}}
        task = asyncio.create_task(self._ask(number, reply_id, pairs, body))
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

    async def _ask(self, number: str, reply_id: str, pairs: Sequence[_Pair], body: dict[str, object]) -> None:
        """Without the service's answer, or if WhatsApp refuses, they may be asked with their next waiting reply.

        A template that may have been sent counts as sent.
        """
        try:
            if not await self._kernel.claim_invitation(self._instance_id, reply_id, CLAIM_SECONDS):
                self._metrics.templates.labels("not_needed").inc()
                return
            result = await self._graph.send(number, body, SEND_SECONDS)
            self._metrics.templates.labels("sent" if isinstance(result, Sent) else "failed").inc()
            if isinstance(result, Refused):
                self._forget(pairs)
                await self._kernel.withdraw_invitation(self._instance_id, reply_id, CLAIM_SECONDS)
        except KernelCallError as refusal:
            self._metrics.kernel_errors.labels(refusal.reason).inc()
            self._forget(pairs)

    def _forget(self, pairs: Sequence[_Pair]) -> None:
        for pair in pairs:
            self._asked_at.pop(pair, None)
