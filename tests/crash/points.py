"""The chosen points: a process kills or freezes itself there, at the n-th call of one of the product's functions.

The product has no hook for this. A point names a function, and the process that is to die wraps it at its start. If the
product renames a function, rename it here.
"""

from __future__ import annotations

import inspect
import os
import signal
from dataclasses import dataclass
from importlib import import_module
from itertools import count
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Named = dict[str, Any]


def _always(_: Named, __: object) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Point:
    """`counts(named arguments, result)` selects the calls that count. Before a call its result is None."""

    when: Literal["before", "after"]
    where: str
    counts: Callable[[Named, Any], bool] = _always


_INBOX: Final = "kernel_service.storage.inbox.sql_inbox:SqlInbox"
_TURNS: Final = "kernel_service.storage.turns.sql_turns:SqlTurns"
_APPROVALS: Final = "kernel_service.storage.approvals.sql_approvals:SqlApprovals"
_OUTBOX: Final = "kernel_service.storage.outbox.sql_outbox:SqlOutbox"

KERNEL: Final[Mapping[str, Point]] = {
    "message accepted": Point("after", f"{_INBOX}.accept"),
    "turn not begun": Point("before", f"{_TURNS}.next_turn"),
    "turn begun": Point("after", f"{_TURNS}.next_turn", lambda _, turn: hasattr(turn, "messages")),
    "model output stored": Point("after", f"{_TURNS}.append", lambda named, _: named["usage"].model_calls > 0),
    "tool not called": Point("before", "kernel_service.tools.toolbox:ConnectedTool.call"),
    "tool called": Point("after", "kernel_service.tools.toolbox:ConnectedTool.call"),
    "tool result stored": Point("after", f"{_TURNS}.append", lambda named, _: bool(named.get("finished"))),
    "turn not ended": Point("before", f"{_TURNS}.end"),
    # In the transaction: all statements are executed, and not committed.
    "end not committed": Point("after", "kernel_service.storage.turns.closing:add_replies"),
    "turn ended": Point("after", f"{_TURNS}.end"),
    # The end has leased the reply to the gateway's stream, which has not sent it.
    "reply leased": Point("after", "kernel_service.outbox.pull_stream:PullStream.push"),
    # In the transaction of all gathered acknowledgements.
    "reports not committed": Point("after", "kernel_service.storage.outbox.delivery:settle"),
    "part settled": Point("after", f"{_OUTBOX}.settle"),
}

_ATTEMPTS: Final = "kernel_service.storage.connections.sql_connect_attempts:SqlConnectAttempts"

CONNECTING: Final[Mapping[str, Point]] = {
    "link not stored": Point("before", f"{_ATTEMPTS}.add"),
    "link stored": Point("after", f"{_ATTEMPTS}.add"),
    "what waits not committed": Point("after", "kernel_service.storage.connections.parked_requests:park"),
    "what waits stored": Point("after", f"{_TURNS}.end"),
    "browser claimed": Point("after", f"{_ATTEMPTS}.advance", lambda named, _: named["was"] == "open"),
    "vendor's link made": Point("after", "kernel_service.composio.client:Composio.link"),
    "vendor's link stored": Point("after", f"{_ATTEMPTS}.advance", lambda named, _: named["was"] == "claimed"),
    "code not stored": Point("before", f"{_ATTEMPTS}.advance", lambda named, _: named["was"] == "started"),
    "code stored": Point("after", f"{_ATTEMPTS}.advance", lambda named, _: named["was"] == "started"),
    "vendor not told": Point("before", "kernel_service.composio.client:Composio.complete_auth"),
    "vendor told": Point("after", "kernel_service.composio.client:Composio.complete_auth"),
    "proof not stored": Point("before", f"{_ATTEMPTS}.confirm"),
    "proof not committed": Point("after", "kernel_service.storage.connections.parked_requests:resume"),
    "proof stored": Point("after", f"{_ATTEMPTS}.confirm"),
    "not gone on": Point("before", "kernel_service.tools.toolbox:ConnectedTool.call"),
    "gone on": Point("after", "kernel_service.tools.toolbox:ConnectedTool.call"),
}
"""From the request that needs a connection to the answer that reports its completion."""

APPROVING: Final[Mapping[str, Point]] = {"button decided": Point("after", f"{_APPROVALS}.decide")}
"""In addition to the points of any turn."""

_SCHEDULES: Final = "kernel_service.storage.schedules.sql_schedules:SqlSchedules"

SCHEDULING: Final[Mapping[str, Point]] = {
    "run not taken": Point("before", f"{_SCHEDULES}._run_due"),
    # In the transaction: the message is in the inbox, and the next due time is not moved yet.
    "run not committed": Point("after", "kernel_service.storage.inbox.own_messages:put"),
    "run taken": Point("after", f"{_SCHEDULES}._run_due"),
}
"""In addition to the points of any turn."""

EXPECTED: Final[Mapping[str, Point]] = {
    "opening not written": Point("after", f"{_TURNS}.begin"),
    "model not asked": Point("before", "kernel_service.models.openai_model:OpenAIModel.answer"),
    "turn not ended": Point("before", f"{_TURNS}.end"),
}
"""In a turn that begins before its opening is committed: the second turn of a person in a process."""

GATEWAY: Final[Mapping[str, Point]] = {
    "reply pulled": Point("before", "whatsapp_gateway.outbound.reply_sender:ReplySender.deliver"),
    "message handed over": Point("after", "whatsapp_gateway.kernel.calls:KernelCalls.accept"),
    "part not sent": Point("before", "whatsapp_gateway.graph.api:GraphApi.send"),
    "part accepted": Point("after", "whatsapp_gateway.graph.api:GraphApi.send"),
    "part acknowledged": Point("after", "kernel_client.connection:KernelConnection.acknowledge"),
}

_TEMPLATES: Final = "whatsapp_gateway.outbound.template_sender:TemplateSender"

INVITING: Final[Mapping[str, Point]] = {"invitation sent": Point("after", f"{_TEMPLATES}.send")}
"""In addition to the points of any reply."""

POISON: Final = "poison"
"""A message with this word kills the process that asks the model about it."""


def _poisonous(named: Named, _: object) -> bool:
    """Whether the poison is among the new messages: in the history it does no harm."""
    newest: bytes = named["request"].items[-1]
    return POISON.encode() in newest


POISONED: Final[Mapping[str, Point]] = {
    "poison swallowed": Point("before", "kernel_service.models.openai_model:OpenAIModel.answer", _poisonous)
}

LOADED: Final = {"kernel_service": {**KERNEL, **EXPECTED}, "whatsapp_gateway": GATEWAY}
"""The points that every load reaches."""
POINTS: Final = {
    "kernel_service": {**KERNEL, **EXPECTED, **CONNECTING, **APPROVING, **SCHEDULING, **POISONED},
    "whatsapp_gateway": {**GATEWAY, **INVITING},
}


@dataclass(frozen=True, slots=True)
class Doom:
    """The name of a point, the number of its fatal call, and the signal that the process sends itself there."""

    point: str
    nth: int = 1
    signal: int = signal.SIGKILL


def arm(service: str, doom: Doom) -> None:
    """Wrap the function of the doom's point. Raises LookupError or AttributeError if the function does not exist."""
    point = POINTS[service][doom.point]
    module, _, path = point.where.partition(":")
    *owners, name = path.split(".")
    owner: Any = import_module(module)
    for each in owners:
        owner = getattr(owner, each)
    setattr(owner, name, _doomed(getattr(owner, name), point, doom))


def _doomed(function: Callable[..., Any], point: Point, doom: Doom) -> Callable[..., Any]:
    calls = count(1)

    def meets(when: str, named: Named, result: object = None) -> None:
        if point.when == when and point.counts(named, result) and next(calls) == doom.nth:
            os.kill(os.getpid(), doom.signal)

    signature = inspect.signature(function)

    async def wrapped(*given: Any, **by_name: Any) -> Any:
        named = signature.bind(*given, **by_name).arguments
        meets("before", named)
        result = await function(*given, **by_name)
        meets("after", named, result)
        return result

    def wrapped_unit(*given: Any, **by_name: Any) -> Any:
        named = signature.bind(*given, **by_name).arguments
        meets("before", named)
        result = function(*given, **by_name)
        meets("after", named, result)
        return result

    return wrapped if inspect.iscoroutinefunction(function) else wrapped_unit
