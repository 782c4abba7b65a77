"""People who have not written for 24 hours are asked to: by templates that Meta approved for the business.

The waiting reply stays in the outbox and is sent once they write.
"""

import asyncio
import math
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from kernel_client.errors import KernelError
from whatsapp_gateway.graph.retry_policy import remedy_of_status
from whatsapp_gateway.kernel.calls import KernelCalls
from whatsapp_gateway.metrics import Metrics
from whatsapp_gateway.model.invitations import InvitationName, NoInvitation
from whatsapp_gateway.outbound.asked_people import AskedPeople, Pair
from whatsapp_gateway.outbound.rendering import Body, recipient
from whatsapp_gateway.outbound.template_sender import TemplateSender

CLAIM_SECONDS: Final = 10.0
CLAIM_AGAIN_SECONDS: Final = 20.0
MOST_CLAIMS: Final = 3
"""The kernel service answers a claim that is repeated within a minute as the first time."""
AT_ONCE: Final = 16
MOST_ATTEMPTS: Final = 30
"""About a day. Then they may be asked with their next waiting reply."""
SOON_SECONDS: Final = 3600.0
MOST_POSTPONED: Final = 10_000
RETRY_MARGIN: Final = 600.0
"""An attempt of this process comes before the kernel service sends the reply again."""


@dataclass(frozen=True, slots=True)
class _Asking:
    """A person, under these ids, is to be asked to write to a number of ours: a reply waits.

    claims: how often the claim of this attempt was made without an answer.
    """

    number: str
    reply_id: str
    to: Body = field(repr=False)
    pairs: tuple[Pair, ...] = field(repr=False)
    attempt: int = 0
    claims: int = 0


class _Postponed(NamedTuple):
    asking: _Asking
    timer: asyncio.TimerHandle


class WindowTemplates:
    """sender None: nothing is sent, and people get waiting replies when they write by themselves.

    The kernel service grants one template a day for a person, to one attempt of one gateway. now is a monotonic clock
    in seconds. instance_id is unique to this process.
    """

    def __init__(
        self,
        kernel: KernelCalls,
        metrics: Metrics,
        sender: TemplateSender | None,
        instance_id: str,
        now: Callable[[], float],
    ) -> None:
        self._kernel = kernel
        self._metrics = metrics
        self._sender = sender
        self._instance_id = instance_id
        self._asked = AskedPeople(now)
        self._postponed: dict[Pair, _Postponed] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def retry_after(self) -> float:
        """Seconds until a reply that a closed window refused comes again, if its claim is lost. 0: no template."""
        return RETRY_MARGIN if self._sender is not None else 0.0

    def window_closed(self, number: str, reply_id: str, *user_ids: str) -> None:
        """A reply could not be sent to a person, known by these ids, the best first: ask them to write.

        In the background, and once in 24 hours.
        """
        asking = _asking(number, reply_id, user_ids)
        if self._sender is not None and asking is not None:
            self._run(self._ask(self._sender, asking))

    def refused_later(self, number: str, name: InvitationName, code: str, *user_ids: str) -> None:
        """A status says that a template, which WhatsApp had accepted, was not delivered."""
        asking = _asking(number, name.reply_id, user_ids)
        if self._sender is None or asking is None:
            return
        wait = self._sender.refused_later(name.kind, code, remedy_of_status(code), name.attempt)
        if wait is not None:
            self._run(self._withdraw(replace(asking, attempt=name.attempt), name.claimer, wait))

    def works(self, name: str, language: str) -> None:
        """WhatsApp takes a template from now on: the postponed people are asked at once."""
        if self._sender is not None and self._sender.works(name, language):
            for asking, timer in list(self._postponed.values()):
                timer.cancel()
                self._resume(asking)

    async def close(self) -> None:
        """Wait for the sends in progress. Another process asks the postponed people."""
        while self._postponed or self._tasks:
            for _, timer in self._postponed.values():
                timer.cancel()
            self._postponed.clear()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _run(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(self, sender: TemplateSender, asking: _Asking) -> None:
        async with self._slots:
            try:
                if sender.pause:
                    await self._withdraw(asking, self._name(asking).claimer, sender.pause)
                else:
                    await self._claim_and_send(sender, asking)
            except KernelError as refusal:
                self._metrics.kernel_errors.labels(refusal.reason).inc()
                if refusal.retryable and asking.claims < MOST_CLAIMS:
                    self._postpone(replace(asking, claims=asking.claims + 1), CLAIM_AGAIN_SECONDS)

    async def _claim_and_send(self, sender: TemplateSender, asking: _Asking) -> None:
        name = self._name(asking)
        granted = await self._kernel.claim_invitation(name.claimer, asking.reply_id, CLAIM_SECONDS)
        if isinstance(granted, NoInvitation):
            self._not_granted(asking, granted.wait)
        elif not granted.counted and self._asked.asked_lately(asking.pairs):
            self._not_granted(asking, math.inf)
        elif not sender.templates_for(granted.reminder):
            await self._kernel.withdraw_invitation(name.claimer, asking.reply_id, CLAIM_SECONDS)
        else:
            wait = await sender.send(asking.number, asking.to, granted.reminder, name)
            if wait is not None:
                await self._withdraw(asking, name.claimer, wait)

    def _not_granted(self, asking: _Asking, wait: float) -> None:
        """A reminder of each day may be due a moment before the day is over. Otherwise it is not needed."""
        if wait <= SOON_SECONDS:
            self._postpone(_next_attempt(asking), wait + 1)
        else:
            self._metrics.templates.labels("not_needed").inc()

    def _name(self, asking: _Asking) -> InvitationName:
        """Without its kind."""
        return InvitationName("", asking.attempt, asking.reply_id, self._instance_id)

    async def _withdraw(self, asking: _Asking, claimer: str, wait: float) -> None:
        """It was certainly not sent: another attempt may claim, in `wait` seconds.

        If this process ends before that, the reply comes again to another one.
        """
        self._postpone(_next_attempt(asking), wait)
        try:
            await self._kernel.withdraw_invitation(
                claimer, asking.reply_id, CLAIM_SECONDS, retry_after=wait + RETRY_MARGIN
            )
        except KernelError as refusal:
            self._metrics.kernel_errors.labels(refusal.reason).inc()

    def _postpone(self, asking: _Asking, wait: float) -> None:
        """Of several replies to a person the newest counts: an earlier one may no longer wait by then."""
        person = asking.pairs[0]
        if (earlier := self._postponed.pop(person, None)) is not None:
            earlier.timer.cancel()
        if asking.attempt > MOST_ATTEMPTS or len(self._postponed) >= MOST_POSTPONED:
            return
        self._metrics.templates.labels("postponed").inc()
        timer = asyncio.get_running_loop().call_later(wait, self._resume, asking)
        self._postponed[person] = _Postponed(asking, timer)

    def _resume(self, asking: _Asking) -> None:
        del self._postponed[asking.pairs[0]]
        if self._sender is not None:
            self._run(self._ask(self._sender, asking))


def _next_attempt(asking: _Asking) -> _Asking:
    return replace(asking, attempt=asking.attempt + 1, claims=0)


def _asking(number: str, reply_id: str, user_ids: Sequence[str]) -> _Asking | None:
    """None: they have no id that can be written to."""
    to = recipient(user_ids[0]) if user_ids else None
    return None if to is None else _Asking(number, reply_id, to, tuple((number, each) for each in user_ids))
