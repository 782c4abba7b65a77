"""Sends one leased reply, part by part, and says what became of each."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from whatsapp_gateway.graph.api import SEND_SECONDS, Ambiguous, GraphApi, Refused, Sent
from whatsapp_gateway.graph.errors import Remedy
from whatsapp_gateway.graph.outcomes import outcome_of, wait_for
from whatsapp_gateway.markup.splitting import SPLIT_VERSION
from whatsapp_gateway.metrics import Metrics
from whatsapp_gateway.model.deliveries import Ack, Delivery, Outcome
from whatsapp_gateway.outbound.acks import Acks
from whatsapp_gateway.outbound.file_sending import FileSending
from whatsapp_gateway.outbound.part_backoff import PartBackoff
from whatsapp_gateway.outbound.rendering import RULES, Body, file_in, recipient, render
from whatsapp_gateway.outbound.templates import WindowTemplates

logger = logging.getLogger(__name__)

MARGIN: Final = 10
"""Seconds before the end of a lease from which nothing is sent under it.

It was counted from when it came: a line that is slower is given up, and a process that was stopped for longer than
`pulse` leaves unnoticed trusts no line that it had.
"""
OTHER_RULE_SECONDS: Final = 60
HAND_BACK_SECONDS: Final = 0.1
"""When what was not begun may go by another stream."""
MOST_PARTS: Final = 100


class Sending:
    """now is the monotonic clock by which leases end here; templates hear of each closed window."""

    def __init__(
        self,
        graph: GraphApi,
        files: FileSending,
        acks: Acks,
        metrics: Metrics,
        *,
        now: Callable[[], float],
        slow_downs: PartBackoff,
        templates: WindowTemplates | None = None,
    ) -> None:
        self._graph = graph
        self._files = files
        self._acks = acks
        self._metrics = metrics
        self._now = now
        self._templates = templates
        self._slow_downs = slow_downs

    async def deliver(self, delivery: Delivery) -> None:
        """Send the parts that are not known to have been sent, in order, up to the first that fails.

        No part is begun once its stream does not hold: the rest is handed back.
        """
        try:
            version, bodies = _rendered(delivery)
        except Exception as fault:  # noqa: BLE001 - left without a word it would be leased again for ever
            logger.error("fault while rendering reply %s: %s", delivery.reply.id, type(fault).__name__)  # noqa: TRY400
            self._give_up(delivery, "fault")
            return
        to = recipient(delivery.user_id)
        if to is None:
            self._give_up(delivery, "recipient_unreadable")
        elif not 1 <= len(bodies) <= MOST_PARTS:
            self._give_up(delivery, "too_many_parts" if bodies else "nothing_to_send")
        elif not version:
            self._leave_to_others(delivery)
        else:
            await self._send_parts(delivery, [to | body for body in bodies], version)

    async def _send_parts(self, delivery: Delivery, bodies: Sequence[Body], version: str) -> None:
        for part, body in enumerate(bodies, 1):
            if part in delivery.sent_parts:
                continue
            if not delivery.holds():
                self._hand_back(delivery, part, len(bodies), version)
                return
            if self._left(delivery) <= 0:
                self._metrics.parts.labels("lapsed").inc()
                logger.warning("lease of reply %s lapsed before part %d was sent", delivery.reply.id, part)
                return
            callback = {"biz_opaque_callback_data": _callback_id(delivery, part, len(bodies))}
            result = await self._send(delivery, body | callback)
            self._acks.put(replace(self._ack(delivery, part, len(bodies), result), split_version=version))
            if not isinstance(result, Sent):
                return

    async def _send(self, delivery: Delivery, body: Body) -> Sent | Refused | Ambiguous:
        file = file_in(body, delivery.reply.files)
        if file is not None:
            return await self._files.send(delivery.number, body, file, lambda: self._left(delivery))
        return await self._graph.send(delivery.number, body, min(SEND_SECONDS, self._left(delivery)))

    def _left(self, delivery: Delivery) -> float:
        """Seconds for which there may be sent under its lease."""
        return delivery.lease_ends - MARGIN - self._now() if delivery.holds() else 0.0

    def _ack(self, delivery: Delivery, part: int, parts: int, result: Sent | Refused | Ambiguous) -> Ack:
        match result:
            case Sent(wamid):
                return Ack(delivery, part, parts, SPLIT_VERSION, Outcome.SENT, wamid=wamid)
            case Ambiguous(code):
                return Ack(delivery, part, parts, SPLIT_VERSION, Outcome.UNKNOWN, error_code=code)
            case Refused(code, remedy, wait):
                self._metrics.graph_errors.labels(code).inc()
                if remedy is Remedy.WAIT_FOR_PERSON and self._templates is not None:
                    self._templates.window_closed(delivery.number, delivery.user_id)
                wait = wait or self._wait(remedy, _callback_id(delivery, part, parts))
                outcome = outcome_of(remedy)
                return Ack(delivery, part, parts, SPLIT_VERSION, outcome, error_code=code, retry_after=wait)

    def _wait(self, remedy: Remedy, callback_id: str) -> float:
        slowed = self._slow_downs.before(callback_id) if remedy is Remedy.SLOW_DOWN else 0
        return wait_for(remedy, slowed)

    def _hand_back(self, delivery: Delivery, part: int, parts: int, version: str) -> None:
        """This part and what follows were not sent."""
        logger.info("reply %s is handed back from part %d on: its stream has ended", delivery.reply.id, part)
        self._acks.put(
            Ack(
                delivery,
                part,
                parts,
                version,
                Outcome.RETRY,
                error_code="stream_ended",
                retry_after=HAND_BACK_SECONDS,
            )
        )

    def _give_up(self, delivery: Delivery, code: str) -> None:
        logger.error("reply %s cannot be sent: %s", delivery.reply.id, code)
        parts, version = delivery.parts or 1, delivery.split_version or SPLIT_VERSION
        part = _first_unsent(delivery)
        self._acks.put(Ack(delivery, part, parts, version, Outcome.FAILED, error_code=code))

    def _leave_to_others(self, delivery: Delivery) -> None:
        """A gateway of another release began it, and splits it in another way than this one."""
        logger.error("reply %s was split by rule %s into %d", delivery.reply.id, delivery.split_version, delivery.parts)
        self._acks.put(
            Ack(
                delivery,
                _first_unsent(delivery),
                delivery.parts,
                delivery.split_version,
                Outcome.RETRY,
                error_code="split_version",
                retry_after=OTHER_RULE_SECONDS,
            )
        )


def _callback_id(delivery: Delivery, part: int, parts: int) -> str:
    return f"{delivery.reply.id}/{part}/{parts}"


def _rendered(delivery: Delivery) -> tuple[str, list[Body]]:
    """The messages, by the rule under which the reply was begun; an empty version: none of ours.

    A status that came before any acknowledgement has named the parts, and not the rule.
    """
    versions = [delivery.split_version] if delivery.split_version else list(RULES)
    bodies: list[Body] = []
    for version in versions:
        bodies = render(delivery.reply, version if version in RULES else SPLIT_VERSION)
        if version in RULES and delivery.parts in (0, len(bodies)):
            return version, bodies
    return "", bodies


def _first_unsent(delivery: Delivery) -> int:
    parts = range(1, (delivery.parts or 1) + 1)
    return next((part for part in parts if part not in delivery.sent_parts), 1)
