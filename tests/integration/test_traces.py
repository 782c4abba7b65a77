"""One trace follows a message through both services and the vendors, and tells nothing about the person."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import defaultdict
from typing import TYPE_CHECKING

from tests.integration.test_approvals import connected
from tests.integration.test_no_numbers import found
from tests.integration.test_quotes import until_sent
from tests.integration.world import whole_world
from tests.otlp_collector import Collector, collector
from tests.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

PATH = {
    ("kernel_service", "message"),
    ("whatsapp_gateway", "accept"),
    ("kernel_service", "turn"),
    ("kernel_service", "model"),
    ("kernel_service", "outbox"),
    ("whatsapp_gateway", "send"),
}


def traces(running: Collector) -> list[dict[tuple[str, str], list[Span]]]:
    """The spans of each trace by service and name, in the order of their messages."""
    by_trace: defaultdict[bytes, dict[tuple[str, str], list[Span]]] = defaultdict(dict)
    for service, span in running.spans:
        by_trace[span.trace_id].setdefault((service, span.name), []).append(span)
    return sorted(by_trace.values(), key=lambda spans: spans["kernel_service", "message"][0].start_time_unix_nano)


async def test_one_trace_follows_a_message_through_services_and_vendors(tmp_path: Path) -> None:
    async with collector() as (running, endpoint):
        async with whole_world(tmp_path, otel_exporter_otlp_endpoint=endpoint) as world:
            alice = await connected(world, "Alice")
            await world.ask(alice, "Ferns like shade")
            await until_sent(world, alice)
            await world.tell("telegram:4915112345678", "Mosses like rain", "m1")
        connecting, *_, ferns, mosses = traces(running)
        assert connecting.keys() == PATH | {("kernel_service", "tool")}
        assert ferns.keys() == PATH
        assert mosses.keys() == {("kernel_service", name) for name in ("message", "turn", "model")}
        [root], [turn] = ferns["kernel_service", "message"], ferns["kernel_service", "turn"]
        assert not root.parent_span_id
        assert {span.parent_span_id for key, (span, *_) in ferns.items() if key[1] not in {"message", "model"}} == {
            root.span_id
        }
        assert ferns["kernel_service", "model"][0].parent_span_id == turn.span_id
        told = alice.messages[-1].text.encode()
        for secret in (b"Ferns", b"Mosses", told, b"4915112345678", b"telegram:", b"wa.me", b"http"):
            assert secret not in running.raw
        assert found(alice, running.raw) == []


async def test_no_message_is_traced_if_the_share_is_0(tmp_path: Path) -> None:
    async with collector() as (running, endpoint):
        given = {"otel_exporter_otlp_endpoint": endpoint, "otel_traces_sampler_arg": 0}
        async with whole_world(tmp_path, **given) as world:
            answer = await world.tell("telegram:1", "hello", "m1")
        assert answer.trace_parent == ""
        assert running.spans == []


async def test_a_collector_that_is_down_delays_no_message(tmp_path: Path) -> None:
    async with whole_world(tmp_path, otel_exporter_otlp_endpoint=f"http://127.0.0.1:{free_port()}") as world:
        assert (await world.tell("telegram:1", "hello", "m1")).trace_parent
        began = time.monotonic()
    assert time.monotonic() - began < 5


def test_without_traces_nothing_of_opentelemetry_is_imported() -> None:
    check = (
        "import sys, kernel_service.app, whatsapp_gateway.app\n"
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", check], check=True)
