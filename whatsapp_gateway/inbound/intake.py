"""Hands what a webhook told over to the kernel service, and says whether all of it was taken."""

import asyncio
import hashlib
import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from whatsapp_gateway.graph.errors import TOO_FAST, Remedy
from whatsapp_gateway.graph.number_circuit_breaker import NumberCircuitBreaker
from whatsapp_gateway.graph.outcomes import remedy_of_status
from whatsapp_gateway.graph.pacing import Pacing
from whatsapp_gateway.inbound.account_alerts import AccountAlerts
from whatsapp_gateway.inbound.items import InboundItem, by_person, ids_of
from whatsapp_gateway.inbound.keyed_queue import KeyedQueue
from whatsapp_gateway.inbound.receipts import Receipts
from whatsapp_gateway.inbound.reuploads import Reuploads
from whatsapp_gateway.kernel.client import MOST_AT_ONCE, KernelClient
from whatsapp_gateway.kernel.errors import KernelCallError
from whatsapp_gateway.metrics import Metrics
from whatsapp_gateway.model.messages import (
    AccountError,
    AccountEvent,
    IdentityChange,
    Ignored,
    LinkResult,
    Malformed,
    Message,
    Reaction,
    Revoke,
    Status,
    Update,
)
from whatsapp_gateway.outbound.part_backoff import PartBackoff
from whatsapp_gateway.outbound.templates import WindowTemplates
from whatsapp_gateway.outbound.typing_indicator import TypingIndicator

logger = logging.getLogger(__name__)

CALLS_AT_ONCE: Final = 256

_CODE: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_AWAITS_NO_ANSWER: Final = (Reaction, Revoke)
_IDENTITY_REASONS: Final = frozenset({"sender_contradicted", "identity_conflict"})


class Intake:
    """People side by side, what is of one of them in order, whichever webhooks it came by.

    seconds bound the whole of a webhook.
    """

    def __init__(
        self,
        kernel: KernelClient,
        typing: TypingIndicator,
        pacing: Pacing,
        templates: WindowTemplates,
        metrics: Metrics,
        *,
        halts: NumberCircuitBreaker,
        slow_downs: PartBackoff,
        seconds: float,
    ) -> None:
        self._kernel = kernel
        self._account = AccountAlerts(metrics, _now)
        self._receipts = Receipts(kernel)
        self._reuploads = Reuploads()
        self._typing = typing
        self._pacing = pacing
        self._templates = templates
        self._halts = halts
        self._slow_downs = slow_downs
        self._metrics = metrics
        self._seconds = seconds
        self._people = KeyedQueue()
        self._slots = asyncio.Semaphore(CALLS_AT_ONCE)

    async def take(self, updates: Iterable[Update]) -> bool:
        """Whether everything that can be served is durable now.

        If not, all of it must be brought again: what was taken is recognised then.
        """
        errands: list[InboundItem] = []
        statuses: list[Status] = []
        for update in updates:
            match update:
                case Message() | IdentityChange():
                    errands.append(update)
                case Status():
                    statuses.append(update)
                case Malformed(reason, wamid):
                    self._quarantine(reason, wamid)
                case AccountError(code):
                    self._metrics.alert("account", f"WhatsApp reports error {code or '?'} of our account")
                case AccountEvent():
                    self._account.tell(update)
                case Ignored(kind):
                    self._metrics.ignored.labels(kind).inc()
        deadline = _now() + self._seconds
        taken = await asyncio.gather(*(self._of_one(some, deadline) for some in by_person(errands)))
        reported = await self._report(statuses, deadline)
        return all(taken) and reported

    async def _of_one(self, errands: Sequence[InboundItem], deadline: float) -> bool:
        """What one webhook brings of one person, after what earlier ones brought."""
        try:
            async with self._people.turn(ids_of(errands), deadline - _now()):
                return await self._in_order(errands, deadline)
        except TimeoutError:
            self._metrics.messages.labels("retry").inc(len(errands))
            return False

    async def _in_order(self, errands: Sequence[InboundItem], deadline: float) -> bool:
        for errand in errands:
            # What is later must not overtake what has to be brought again.
            if not await self._run(errand, deadline):
                return False
        return True

    async def _run(self, errand: InboundItem, deadline: float) -> bool:
        try:
            async with self._slots:
                outcome = await self._hand_over(errand, deadline - _now())
        except KernelCallError as refusal:
            self._metrics.refusals.labels(refusal.reason).inc()
            self._metrics.messages.labels("refused" if refusal.final else "retry").inc()
            if refusal.final:
                self._set_aside(errand, refusal)
            return refusal.final
        self._metrics.messages.labels(outcome).inc()
        return True

    async def _hand_over(self, errand: InboundItem, timeout: float) -> str:
        if timeout <= 0:
            raise KernelCallError("DEADLINE_EXCEEDED")
        if isinstance(errand, IdentityChange):
            return self._linked(await self._kernel.link(errand, timeout))
        if await self._kernel.accept(errand, timeout):
            return "duplicate"
        self._pacing.received(errand.number)
        if not isinstance(errand.content, _AWAITS_NO_ANSWER):
            self._typing.show(errand.number, errand.sender.user_id, errand.id)
        return "accepted"

    def _linked(self, result: LinkResult) -> str:
        if result is LinkResult.KEPT_APART:
            self._metrics.alert("kept_apart", "a person's old and new id both have connections: merge them by hand")
        return result.value

    async def _report(self, statuses: Sequence[Status], deadline: float) -> bool:
        for start in range(0, len(statuses), MOST_AT_ONCE):
            some = [self._judged(status) for status in statuses[start : start + MOST_AT_ONCE]]
            try:
                await self._receipts.report(some, max(deadline - _now(), 0))
            except KernelCallError as refusal:
                self._metrics.refusals.labels(refusal.reason).inc()
                self._metrics.receipts.labels("refused" if refusal.final else "retry").inc(len(some))
                if not refusal.final:
                    return False
            else:
                self._metrics.receipts.labels("reported").inc(len(some))
                for status in some:
                    self._reuploads.reported(status)
                    self._heed(status)
        return True

    def _judged(self, status: Status) -> Status:
        if remedy_of_status(status.error_code) is Remedy.SLOW_DOWN:
            return replace(status, slowed=self._slow_downs.before(status.callback_id, status.wamid))
        return self._reuploads.judged(status)

    def _heed(self, status: Status) -> None:
        """WhatsApp mostly takes a message first and says afterwards why it failed: that counts as if said at once."""
        code = int(status.error_code) if _CODE.fullmatch(status.error_code) else None
        if code is None:
            return
        if code in TOO_FAST:
            self._pacing.rest(status.number)
        remedy = remedy_of_status(status.error_code)
        self._halts.refused(status.number, status.error_code, remedy)
        # A template of ours bears no callback id, and must not ask for another one.
        if remedy is Remedy.WAIT_FOR_PERSON and status.callback_id:
            self._templates.window_closed(status.number, *status.user_ids)

    def _set_aside(self, errand: InboundItem, refusal: KernelCallError) -> None:
        self._quarantine(refusal.reason.lower(), errand.id)
        if isinstance(errand, IdentityChange):
            self._metrics.alert("not_linked", f"a person's new id was not linked to the old one: {refusal.reason}")

    def _quarantine(self, reason: str, wamid: str) -> None:
        """Set aside for good: counted, and named by a digest, since a wamid holds the phone number hardly hidden."""
        self._metrics.quarantined.labels(reason).inc()
        digest = hashlib.sha256(wamid.encode()).hexdigest()[:16] if wamid else "-"
        logger.warning("quarantined %s: %s", digest, reason)
        if reason in _IDENTITY_REASONS:
            self._metrics.alert(reason, f"ids that belong to different people in message {digest}")


def _now() -> float:
    return asyncio.get_running_loop().time()
