"""Sends one webhook through the gateway's whole inbound path, and checks the result."""

import hashlib
import hmac
import json
import time
from collections.abc import Sequence
from typing import Final

from tests.fuzz.attribution import is_vouched_for
from tests.fuzz.mutations import CANARY, CANARY_KEY, CANARY_WORDS
from whatsapp_gateway.graph.number_circuit_breaker import NumberCircuitBreaker
from whatsapp_gateway.graph.pacing import Pacing
from whatsapp_gateway.inbound.body import read_json
from whatsapp_gateway.inbound.intake import Intake
from whatsapp_gateway.inbound.updates import read_updates
from whatsapp_gateway.inbound.webhook import Webhook
from whatsapp_gateway.kernel.calls import KernelCalls
from whatsapp_gateway.kernel.messages import alias, message_request
from whatsapp_gateway.kernel.reports import receipt
from whatsapp_gateway.metrics import Metrics
from whatsapp_gateway.model import updates as say
from whatsapp_gateway.outbound.part_backoff import PartBackoff
from whatsapp_gateway.outbound.templates import WindowTemplates

NUMBER: Final = "106540352242922"
SECRET: Final = "fuzz"
SLOW_SECONDS: Final = 2.0


class KeptKernel(KernelCalls):
    """Keeps everything that would be sent over the wire."""

    def __init__(self) -> None:
        self.messages: list[say.Message] = []
        self.calls = 0

    async def accept(self, message: say.Message, timeout: float) -> bool:
        message_request(message).SerializeToString()
        self.messages.append(message)
        return False

    async def link(self, change: say.IdentityChange, timeout: float) -> say.LinkResult:
        self.calls += 1
        alias(change.previous).SerializeToString()
        alias(change.current).SerializeToString()
        return say.LinkResult.LINKED

    async def report(self, statuses: Sequence[say.Status], timeout: float) -> None:
        self.calls += 1
        for status in statuses:
            receipt(status).SerializeToString()


class Trial:
    """Runs bodies one after another; `statuses` counts the answers."""

    def __init__(self) -> None:
        metrics = Metrics()
        self._faults = metrics.dropped.labels("fault")
        self._kernel = KeptKernel()
        templates = WindowTemplates(KeptKernel(), metrics, None, "fuzz", time.monotonic)
        intake = Intake(
            self._kernel,
            Pacing(0),
            templates,
            metrics,
            circuit_breaker=NumberCircuitBreaker(metrics, time.monotonic),
            part_backoff=PartBackoff(),
            seconds=8,
        )
        self._webhook = Webhook(intake, metrics, numbers={NUMBER}, app_secrets=[SECRET], verify_token="v")
        self.statuses: dict[int, int] = {}

    async def run(self, raw: bytes, signature: str | None = None) -> list[str]:
        """Run one body and return the faults; empty: none. Without a signature the body gets the right one."""
        right = sign(raw)
        self._kernel.messages, self._kernel.calls = [], 0
        faults = self._faults._value.get()
        begun = time.monotonic()
        try:
            status = await self._webhook._receive(raw, right if signature is None else signature)
        except Exception as fault:  # noqa: BLE001 - any exception is a fault
            return [f"crash: {type(fault).__name__}: {fault}"]
        self.statuses[status] = self.statuses.get(status, 0) + 1
        wrong = [f"slow: {time.monotonic() - begun:.1f} s"] if time.monotonic() - begun > SLOW_SECONDS else []
        if signature is not None and signature != right:
            refused = status == 401 and not self._kernel.messages and not self._kernel.calls
            return wrong if refused else [*wrong, f"unsigned, and answered {status}"]
        if status not in (200, 400):
            wrong.append(f"answered {status}")
        if self._faults._value.get() != faults:
            wrong.append("an item was dropped because of an internal fault")
        return wrong + (self._mixed(raw) if status == 200 else [])

    def _mixed(self, raw: bytes) -> list[str]:
        """The messages that were attributed to another person than their sender."""
        wrong, body = [], read_json(raw)
        # A canary that was damaged or duplicated in the bytes proves nothing.
        whole = json.dumps(CANARY).encode() in raw and raw.count(CANARY_WORDS.encode()) == 1
        for message in self._kernel.messages:
            words = message.content.body if isinstance(message.content, say.Text) else ""
            canary = message.sender.user_id == f"whatsapp:{CANARY_KEY}"
            if not is_vouched_for(message, body):
                wrong.append(f"message {message.id} was given to {message.sender.user_id}")
            if whole and words == CANARY_WORDS and not canary:
                wrong.append(f"the canary's words were given to {message.sender.user_id}")
        return wrong


def sign(raw: bytes) -> str:
    return "sha256=" + hmac.new(SECRET.encode(), raw, hashlib.sha256).hexdigest()


def features(raw: bytes) -> set[str]:
    """The kinds of outcome of a body. The corpus consists of bodies with a new kind."""
    try:
        body = read_json(raw)
    except ValueError:
        return {"no json"}
    return {_feature(update) for update in read_updates(body, {NUMBER})}


def _feature(update: say.Update) -> str:
    match update:
        case say.Message(content=say.Unsupported(kind)):
            more: tuple[object, ...] = ("Unsupported", kind if kind.replace("_", "").isalpha() else "odd")
        case say.Message(content=content, referral=referral, forwarded=forwarded):
            more = (type(content).__name__, len(update.sender.aliases), referral is not None, forwarded)
        case say.Malformed(reason) | say.Ignored(reason):
            more = (reason,)
        case say.IdentityChange(_, previous, current):
            more = (previous.strong, current.strong)
        case say.Status(state=state, user_ids=user_ids):
            more = (state, bool(user_ids))
        case _:
            more = ()
    return " ".join(map(str, (type(update).__name__, *more)))
