"""Passes the updates of a webhook to the kernel service, and reports whether all of them are durable."""

import asyncio
import hashlib
import logging
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from kernel_client.connection import MOST_AT_ONCE
from kernel_client.errors import KernelError
from whatsapp_gateway.graph.errors import RATE_LIMIT_CODES, Remedy
from whatsapp_gateway.graph.number_circuit_breaker import NumberCircuitBreaker
from whatsapp_gateway.graph.pacing import Pacing
from whatsapp_gateway.graph.retry_policy import remedy_of_status
from whatsapp_gateway.inbound.account_alerts import AccountAlerts
from whatsapp_gateway.inbound.account_events import TEMPLATE_STATUS
from whatsapp_gateway.inbound.items import InboundItem, by_person, ids_of
from whatsapp_gateway.inbound.keyed_queue import KeyedQueue
from whatsapp_gateway.inbound.receipts import Receipts
from whatsapp_gateway.inbound.upload_retries import UploadRetries
from whatsapp_gateway.kernel.calls import KernelCalls
from whatsapp_gateway.metrics import Metrics
from whatsapp_gateway.model.callback_ids import part_named
from whatsapp_gateway.model.invitations import invitation_named
from whatsapp_gateway.model.updates import (
    AccountError,
    AccountEvent,
    IdentityChange,
    Ignored,
    LinkResult,
    Malformed,
    Message,
    Status,
    TemplateWorks,
    Update,
)
from whatsapp_gateway.outbound.part_backoff import PartBackoff
from whatsapp_gateway.outbound.templates import WindowTemplates

logger = logging.getLogger(__name__)

CALLS_AT_ONCE: Final = 256

_CODE: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_IDENTITY_REASONS: Final = frozenset({"sender_contradicted", "identity_conflict"})


class Intake:
    """Different people concurrently, each person's items in order across webhooks.

    `seconds` limits one webhook as a whole.
    """

    def __init__(
        self,
        kernel: KernelCalls,
        pacing: Pacing,
        templates: WindowTemplates,
        metrics: Metrics,
        *,
        circuit_breaker: NumberCircuitBreaker,
        part_backoff: PartBackoff,
        seconds: float,
    ) -> None:
        self._kernel = kernel
        self._account_alerts = AccountAlerts(metrics, time.monotonic)
        self._receipts = Receipts(kernel)
        self._upload_retries = UploadRetries()
        self._pacing = pacing
        self._templates = templates
        self._circuit_breaker = circuit_breaker
        self._part_backoff = part_backoff
        self._metrics = metrics
        self._seconds = seconds
        self._people = KeyedQueue()
        self._slots = asyncio.Semaphore(CALLS_AT_ONCE)

    async def take(self, updates: Iterable[Update]) -> bool:
        """Whether every valid update is durable now.

        If not, WhatsApp must redeliver the whole webhook; duplicates are recognised then.
        """
        items: list[InboundItem] = []
        statuses: list[Status] = []
        for update in updates:
            match update:
                case Message() | IdentityChange():
                    items.append(update)
                case Status():
                    statuses.append(update)
                case Malformed(reason, wamid):
                    self._drop(reason, wamid)
                case AccountError(code):
                    self._metrics.alert("account", f"WhatsApp reports error {code or '?'} of our account")
                case AccountEvent():
                    self._account_alerts.alert_once(update)
                case TemplateWorks(name, language):
                    self._metrics.account_events.labels(TEMPLATE_STATUS).inc()
                    self._templates.works(name, language)
                case Ignored(kind):
                    self._metrics.ignored.labels(kind).inc()
        deadline = time.monotonic() + self._seconds
        taken = not items or await self._pass_on_all(items, deadline)
        reported = not statuses or await self._report(statuses, deadline)
        return taken and reported

    async def _pass_on_all(self, items: Sequence[InboundItem], deadline: float) -> bool:
        if len(items) == 1:  # as nearly always: it needs no task
            return await self._pass_on_of_person(items, deadline)
        return all(await asyncio.gather(*(self._pass_on_of_person(some, deadline) for some in by_person(items))))

    async def _pass_on_of_person(self, items: Sequence[InboundItem], deadline: float) -> bool:
        """The items of one person in one webhook, after those of earlier webhooks."""
        try:
            async with self._people.place(ids_of(items), deadline - time.monotonic()):
                for item in items:
                    # A later item must not overtake one that will be redelivered.
                    if not await self._pass_on(item, deadline):
                        return False
                return True
        except TimeoutError:
            self._metrics.messages.labels("retry").inc(len(items))
            return False

    async def _pass_on(self, item: InboundItem, deadline: float) -> bool:
        try:
            async with self._slots:
                outcome = await self._call_kernel(item, deadline - time.monotonic())
        except KernelError as refusal:
            self._metrics.kernel_errors.labels(refusal.reason).inc()
            self._metrics.messages.labels("retry" if refusal.retryable else "refused").inc()
            if not refusal.retryable:
                self._refuse(item, refusal)
            return not refusal.retryable
        self._metrics.messages.labels(outcome).inc()
        return True

    async def _call_kernel(self, item: InboundItem, timeout: float) -> str:
        if timeout <= 0:
            raise KernelError("DEADLINE_EXCEEDED")
        if isinstance(item, IdentityChange):
            return self._linked(await self._kernel.link(item, timeout))
        if await self._kernel.accept(item, timeout):
            return "duplicate"
        self._pacing.received(item.number)
        return "accepted"

    def _linked(self, result: LinkResult) -> str:
        if result is LinkResult.KEPT_APART:
            self._metrics.alert("kept_apart", "a person's old and new id both have connections: merge them manually")
        return result.value

    async def _report(self, statuses: Sequence[Status], deadline: float) -> bool:
        for start in range(0, len(statuses), MOST_AT_ONCE):
            some = [
                self._classified(status) if status.state == "failed" else status
                for status in statuses[start : start + MOST_AT_ONCE]
            ]
            try:
                await self._receipts.report(some, max(deadline - time.monotonic(), 0))
            except KernelError as refusal:
                self._metrics.kernel_errors.labels(refusal.reason).inc()
                self._metrics.receipts.labels("retry" if refusal.retryable else "refused").inc(len(some))
                if refusal.retryable:
                    return False
            else:
                self._metrics.receipts.labels("reported").inc(len(some))
                for status in some:
                    if status.state == "failed":
                        self._upload_retries.reported(status)
                        self._apply_status(status)
        return True

    def _classified(self, status: Status) -> Status:
        """The status of a failure, with what this process knows of earlier ones."""
        remedy = remedy_of_status(status.error_code)
        if remedy is Remedy.WAIT_FOR_WINDOW:
            return replace(status, retry_after=self._templates.retry_after)
        if remedy is Remedy.BACK_OFF:
            return replace(status, backoff_count=self._part_backoff.count_refusal(status.callback_id, status.wamid))
        return self._upload_retries.classified(status)

    def _apply_status(self, status: Status) -> None:
        """WhatsApp usually accepts a message first and rejects it in a status: treat that as an immediate rejection."""
        code = int(status.error_code) if _CODE.fullmatch(status.error_code) else None
        if code is None:
            return
        if code in RATE_LIMIT_CODES:
            self._pacing.pause(status.number)
        remedy = remedy_of_status(status.error_code)
        self._circuit_breaker.record_refusal(status.number, status.error_code, remedy)
        if (invitation := invitation_named(status.callback_id)) is not None:
            self._templates.refused_later(status.number, invitation, status.error_code, *status.user_ids)
        if remedy is Remedy.WAIT_FOR_WINDOW and (part := part_named(status.callback_id)) is not None:
            self._templates.window_closed(status.number, part.reply_id, *status.user_ids)

    def _refuse(self, item: InboundItem, refusal: KernelError) -> None:
        self._drop(refusal.reason.lower(), item.id)
        if isinstance(item, IdentityChange):
            self._metrics.alert("not_linked", f"a person's new id was not linked to the old one: {refusal.reason}")

    def _drop(self, reason: str, wamid: str) -> None:
        """Drop an item permanently: count it, and log it by a digest, since a wamid holds the phone number."""
        self._metrics.dropped.labels(reason).inc()
        digest = hashlib.sha256(wamid.encode()).hexdigest()[:16] if wamid else "-"
        logger.warning("dropped %s: %s", digest, reason)
        if reason in _IDENTITY_REASONS:
            self._metrics.alert(reason, f"ids that belong to different people in message {digest}")
