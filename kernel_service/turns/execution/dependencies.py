"""The dependencies that all turns of this process share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kernel_service.approvals.policy import ApprovalPolicy
from kernel_service.ports.traces import NoTraces
from kernel_service.turns.counters import TurnCounters

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.ports.model import Model
    from kernel_service.ports.outbox import ReplyDelivery
    from kernel_service.ports.progress import Progress
    from kernel_service.ports.resuming import Codes
    from kernel_service.ports.tools import Toolbox
    from kernel_service.ports.traces import Traces
    from kernel_service.ports.turns import Turn, TurnStores
    from kernel_service.ports.typing import TypingStatus
    from kernel_service.turns.calls.refused_tools import RefusedTools
    from kernel_service.turns.files.transcription import Transcription
    from kernel_service.turns.limits import TurnLimits
    from kernel_service.turns.replies.speech import Speech


@dataclass(frozen=True, slots=True)
class TurnDependencies:
    """Read by `assembly` alone, which gives each part of a turn the dependencies of that part.

    `node` is the id of this process. `instructions` are the bot developer's. `clock` returns epoch seconds. `ended` is
    called with each turn that has ended. `before_effect` raises Busy if a call with side effects must not be made now.
    """

    store: TurnStores
    model: Model
    transcription: Transcription
    toolbox: Toolbox
    refused_tools: RefusedTools
    codes: Codes
    limits: TurnLimits
    instructions: str
    clock: Callable[[], float]
    ended: Callable[[Turn], None]
    delivery: ReplyDelivery
    progress: Progress
    typing: TypingStatus
    speech: Speech | None = None
    before_effect: Callable[[], None] = lambda: None
    asks_first: ApprovalPolicy = field(default_factory=ApprovalPolicy)
    counters: TurnCounters = field(default_factory=TurnCounters)
    traces: Traces = field(default_factory=NoTraces)
    node: str = ""
