"""Sends one leased reply, part by part, and acknowledges each part."""

import logging
from collections.abc import Callable, Sequence
from typing import Final

from kernel_client.ack_queue import AckQueue
from serving.logs import about
from whatsapp_gateway.graph.api import SEND_SECONDS, Ambiguous, GraphApi, Refused, Sent
from whatsapp_gateway.graph.errors import Remedy
from whatsapp_gateway.graph.retry_policy import outcome_of, retry_delay
from whatsapp_gateway.kernel.reports import acknowledgement
from whatsapp_gateway.markup.splitting import SPLIT_VERSION
from whatsapp_gateway.metrics import Metrics
from whatsapp_gateway.model.callback_ids import PartName
from whatsapp_gateway.model.outbox import Ack, Delivery, DeliveryOutcome
from whatsapp_gateway.outbound.file_sender import FileSender
from whatsapp_gateway.outbound.part_backoff import PartBackoff
from whatsapp_gateway.outbound.rendering import RULES, Body, file_in, recipient, render
from whatsapp_gateway.outbound.templates import WindowTemplates
from whatsapp_gateway.traces import Traces

logger = logging.getLogger(__name__)

MARGIN: Final = 10
"""No send starts in the last seconds of a lease.

A lease is counted from its arrival. A slower connection is closed, and a process that was suspended for longer than the
stall detector tolerates does not trust its earlier streams.
"""
OTHER_RULE_SECONDS: Final = 60
RELEASE_SECONDS: Final = 0.1
"""The retry delay of parts that were not started: another stream may take them."""
MOST_PARTS: Final = 100


class ReplySender:
    """now is the monotonic clock of the leases; `templates` is notified of each closed window."""

    def __init__(
        self,
        graph: GraphApi,
        files: FileSender,
        acks: AckQueue,
        metrics: Metrics,
        *,
        now: Callable[[], float],
        part_backoff: PartBackoff,
        templates: WindowTemplates | None = None,
        traces: Traces | None = None,
    ) -> None:
        self._traces = traces or Traces()
        self._graph = graph
        self._files = files
        self._acks = acks
        self._metrics = metrics
        self._now = now
        self._templates = templates
        self._part_backoff = part_backoff

    async def deliver(self, delivery: Delivery) -> None:
        """Send the parts that are not known to be sent, in order, up to the first failure, and log the outcome.

        No part is started once its stream is not live: the rest is released.
        """
        began = self._now()
        with about(reply=delivery.reply.id):
            outcome = await self._deliver(delivery)
            seconds = self._now() - began
            self._metrics.reply_seconds.labels(outcome).observe(seconds)
            logger.info("reply outcome=%s reply=%s seconds=%.3f", outcome, delivery.reply.id, seconds)

    async def _deliver(self, delivery: Delivery) -> str:
        """Returns the outcome: of the last part that was acknowledged, or released, or lapsed."""
        try:
            version, bodies = _rendered(delivery)
        except Exception as fault:  # noqa: BLE001 - without an acknowledgement it would be leased again for ever
            logger.error("fault while rendering reply %s: %s", delivery.reply.id, type(fault).__name__)  # noqa: TRY400
            return self._give_up(delivery, "fault")
        to = recipient(delivery.user_id)
        if to is None:
            return self._give_up(delivery, "recipient_unreadable")
        if not 1 <= len(bodies) <= MOST_PARTS:
            return self._give_up(delivery, "too_many_parts" if bodies else "nothing_to_send")
        if not version:
            return self._leave_to_other_release(delivery)
        return await self._send_parts(delivery, [to | body for body in bodies], version)

    async def _send_parts(self, delivery: Delivery, bodies: Sequence[Body], version: str) -> str:
        for part, body in enumerate(bodies, 1):
            if part in delivery.sent_parts:
                continue
            if not delivery.is_live():
                return self._release(delivery, part, len(bodies), version)
            began = self._now()
            left = delivery.lease_ends - MARGIN - began
            if left <= 0:
                self._metrics.parts.labels("lapsed").inc()
                logger.warning("lease of reply %s expired before part %d was sent", delivery.reply.id, part)
                return "lapsed"
            callback = {"biz_opaque_callback_data": _callback_id(delivery, part, len(bodies))}
            with self._traces.sending(delivery.trace_parent, part):
                result = await self._send(delivery, body | callback, left)
                self._metrics.part_seconds.labels(type(result).__name__.lower()).observe(self._now() - began)
            outcome = self._settle(self._ack(delivery, part, len(bodies), version, result))
            if not isinstance(result, Sent):
                return outcome
        return "sent"

    async def _send(self, delivery: Delivery, body: Body, left: float) -> Sent | Refused | Ambiguous:
        """`left`: the seconds in which parts may still be sent under the lease."""
        file = file_in(body, delivery.reply.files) if delivery.reply.files else None
        if file is not None:
            return await self._files.send(delivery.number, body, file, lambda: self._left(delivery))
        return await self._graph.send(delivery.number, body, min(SEND_SECONDS, left))

    def _left(self, delivery: Delivery) -> float:
        """The seconds in which parts may still be sent under the lease, after work on a file."""
        return delivery.lease_ends - MARGIN - self._now() if delivery.is_live() else 0.0

    def _ack(self, delivery: Delivery, part: int, parts: int, version: str, result: Sent | Refused | Ambiguous) -> Ack:
        match result:
            case Sent(wamid):
                return Ack(delivery, part, parts, version, DeliveryOutcome.SENT, wamid=wamid)
            case Ambiguous(code):
                return Ack(delivery, part, parts, version, DeliveryOutcome.UNKNOWN, error_code=code)
            case Refused(code, remedy, wait):
                self._metrics.graph_errors.labels(code).inc()
                wait = max(wait, self._wait(remedy, _callback_id(delivery, part, parts)))
                if remedy is Remedy.WAIT_FOR_WINDOW:
                    wait = self._ask_to_write(delivery)
                outcome = outcome_of(remedy)
                return Ack(delivery, part, parts, version, outcome, error_code=code, retry_after=wait)

    def _ask_to_write(self, delivery: Delivery) -> float:
        """Returns the seconds until the reply comes again if this process dies before it asks; 0: it does not ask."""
        if self._templates is None:
            return 0.0
        self._templates.window_closed(delivery.number, delivery.reply.id, delivery.user_id)
        return self._templates.retry_after

    def _settle(self, ack: Ack) -> str:
        outcome = ack.outcome.name.lower()
        self._metrics.parts.labels(outcome).inc()
        self._acks.put(acknowledgement(ack))
        return outcome

    def _wait(self, remedy: Remedy, callback_id: str) -> float:
        backoff_count = self._part_backoff.count_refusal(callback_id) if remedy is Remedy.BACK_OFF else 0
        return retry_delay(remedy, backoff_count)

    def _release(self, delivery: Delivery, part: int, parts: int, version: str) -> str:
        """Release the lease: this part and the following ones were not sent."""
        logger.info(
            "reply %s is released from part %d on: its stream has ended, or its lease has moved",
            delivery.reply.id,
            part,
        )
        self._settle(
            Ack(
                delivery,
                part,
                parts,
                version,
                DeliveryOutcome.RETRY,
                error_code="stream_ended",
                retry_after=RELEASE_SECONDS,
            )
        )
        return "released"

    def _give_up(self, delivery: Delivery, code: str) -> str:
        logger.error("reply %s cannot be sent: %s", delivery.reply.id, code)
        parts, version = delivery.parts or 1, delivery.split_version or SPLIT_VERSION
        part = _first_unsent(delivery)
        return self._settle(Ack(delivery, part, parts, version, DeliveryOutcome.FAILED, error_code=code))

    def _leave_to_other_release(self, delivery: Delivery) -> str:
        """A gateway of another release began the reply, and splits it by a rule that this one lacks."""
        logger.error("reply %s was split by rule %s into %d", delivery.reply.id, delivery.split_version, delivery.parts)
        return self._settle(
            Ack(
                delivery,
                _first_unsent(delivery),
                delivery.parts,
                delivery.split_version,
                DeliveryOutcome.RETRY,
                error_code="split_version",
                retry_after=OTHER_RULE_SECONDS,
            )
        )


def _callback_id(delivery: Delivery, part: int, parts: int) -> str:
    return str(PartName(delivery.reply.id, part, parts))


def _rendered(delivery: Delivery) -> tuple[str, list[Body]]:
    """The messages, by the rule under which the reply was begun; an empty version: an unknown rule.

    A status that arrived before any acknowledgement named the parts, but not the rule.
    """
    versions = [delivery.split_version] if delivery.split_version else RULES
    bodies: list[Body] = []
    for version in versions:
        bodies = render(delivery.reply, version if version in RULES else SPLIT_VERSION)
        if version in RULES and delivery.parts in (0, len(bodies)):
            return version, bodies
    return "", bodies


def _first_unsent(delivery: Delivery) -> int:
    parts = range(1, (delivery.parts or 1) + 1)
    return next((part for part in parts if part not in delivery.sent_parts), 1)
