"""Builds the parts that run turns: the model, the tools, the limits, and the traces if they are on."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from kernel_service.tools.developer_tools import load_tools
from kernel_service.tools.own_tools import own_tools
from kernel_service.tools.toolbox import KernelToolbox
from kernel_service.turns.calls.refused_tools import RefusedTools
from kernel_service.turns.compaction_rule import CompactionRule
from kernel_service.turns.counters import TurnCounters
from kernel_service.turns.execution.dependencies import TurnDependencies
from kernel_service.turns.files.transcription import Transcription
from kernel_service.turns.limits import TurnLimits
from kernel_service.wiring.models import build_model, build_speech, build_transcriptions

if TYPE_CHECKING:
    from kernel_service.config import Settings
    from kernel_service.wiring.connecting import ConnectParts
    from kernel_service.wiring.delivering import DeliveryParts
    from kernel_service.wiring.foundation import Foundation
    from kernel_service.wiring.vendors import Vendors


async def build_answering(
    base: Foundation, vendors: Vendors, connect: ConnectParts, delivery: DeliveryParts
) -> TurnDependencies:
    settings, clock, counters = base.settings, base.clock, TurnCounters()
    developer_tools, store, watching = load_tools(settings.kernel_tools), base.store, connect.watching
    turns = TurnDependencies(
        store=store,
        model=build_model(settings, vendors.openai),
        transcription=Transcription(build_transcriptions(base, vendors.openai), clock),
        speech=build_speech(base, vendors.openai),
        toolbox=KernelToolbox(
            vendors.composio,
            connect.connections,
            connect.connect_links,
            developer_tools,
            own_tools(store.memory, store.schedules, store.triggers, clock),
            triggers=watching.triggers if watching.is_enabled else None,
        ),
        refused_tools=RefusedTools(clock, counters.refused_tools),
        codes=connect.confirmation,
        limits=_limits(settings),
        instructions=settings.instructions(),
        clock=clock,
        ended=delivery.waiters.turn_ended,
        delivery=delivery.outbox,
        progress=delivery.progress,
        typing=delivery.outbox.typing,
        before_effect=vendors.before_effect,
        asks_first=settings.approval_policy(),
        counters=counters,
        node=base.membership.me,
    )
    return await _traced(turns, base)


def _limits(settings: Settings) -> TurnLimits:
    return TurnLimits(
        output_tokens=settings.openai_max_output_tokens,
        daily_tokens=settings.kernel_daily_tokens,
        daily_tokens_per_person=settings.kernel_daily_tokens_per_user,
        daily_replies_per_person=settings.kernel_daily_replies_per_user,
        tokens_per_audio_second=settings.kernel_tokens_per_audio_second,
        compaction=CompactionRule(settings.openai_compact_tokens, settings.openai_compact_turns),
    )


async def _traced(turns: TurnDependencies, base: Foundation) -> TurnDependencies:
    """The same, with traces if they are on. OpenTelemetry is imported here only."""
    settings = base.settings
    if not settings.otel_exporter_otlp_endpoint:
        return turns
    from kernel_service.tracing.message_traces import MessageTraces  # noqa: PLC0415
    from kernel_service.tracing.vendors import traced_model, traced_toolbox  # noqa: PLC0415
    from serving.traces import Spans  # noqa: PLC0415

    spans = Spans("kernel_service", base.membership.me, settings.otel_exporter_otlp_endpoint)
    base.stack.push_async_callback(asyncio.to_thread, spans.close)
    secret = await base.store.keys.secret_for("traces")
    return replace(
        turns,
        model=traced_model(turns.model, spans),
        toolbox=traced_toolbox(turns.toolbox, spans),
        traces=MessageTraces(spans, secret, settings.otel_traces_sampler_arg),
    )
