"""Converts what is remembered about a person to protobuf."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel.v1 import memory_pb2

if TYPE_CHECKING:
    from kernel_service.ports.memory import Memory


def response(memory: Memory) -> memory_pb2.GetMemoryResponse:
    facts = (memory_pb2.Fact(number=each.number, text=each.text, label=each.label.value) for each in memory.facts)
    return memory_pb2.GetMemoryResponse(facts=facts, time_zone=memory.time_zone)
