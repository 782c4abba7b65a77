"""Nodes, usage and keys as tables for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kernel.v1 import admin_pb2


def nodes(listed: Iterable[admin_pb2.Node]) -> str:
    """A line per node."""
    rows = [
        [
            node.id,
            node.address or "starting",
            _role(node),
            node.started_at.ToDatetime().isoformat(" ", "seconds"),
            ",".join(node.channels) or "-",
            f"{node.beat_age.ToMilliseconds() / 1000:.1f}",
            str(node.schema),
            _number(node.resident_kernels) if node.HasField("resident_kernels") else "no answer",
        ]
        for node in listed
    ]
    headings = ["node", "address", "state", "started (UTC)", "channels", "beat age (s)", "schema", "kernels"]
    return _table(headings, rows, left=5)


def _role(node: admin_pb2.Node) -> str:
    if node.draining:
        return "draining"
    return "leader" if node.leader else "live"


def tokens(spent: admin_pb2.GetUsageResponse) -> str:
    """A line per day, and one for the total."""
    names = ("input_tokens", "cached_input_tokens", "output_tokens", "model_calls", "tool_calls")
    counts = [[getattr(each.usage, name) for name in names] for each in spent.days]
    rows = [[_day(each), *map(_number, row)] for each, row in zip(spent.days, counts, strict=True)]
    if len(rows) > 1:
        rows.append(["together", *(_number(sum(column)) for column in zip(*counts, strict=True))])
    return _table(["day", "tokens in", "of these cached", "tokens out", "model calls", "tool calls"], rows)


def tools(spent: admin_pb2.GetUsageResponse) -> str:
    """A line per day and tool; empty if no tool was called."""
    rows = [
        [_day(each), tool.tool, _number(tool.calls), _number(tool.failures), _seconds_each(tool)]
        for each in spent.days
        for tool in each.tools
    ]
    return _table(["day", "tool", "calls", "failed", "seconds each"], rows, left=2) if rows else ""


def _day(spent: admin_pb2.DailyUsage) -> str:
    return f"{spent.day.year:04}-{spent.day.month:02}-{spent.day.day:02}"


def _seconds_each(tool: admin_pb2.ToolUsage) -> str:
    return f"{tool.time.ToNanoseconds() / 1e9 / max(1, tool.calls):.2f}"


def keys(listed: Iterable[admin_pb2.MasterKey]) -> str:
    """A line per key."""
    rows = [
        [key.key_id, _state(key), _number(key.persons), _number(key.secrets), _number(key.awaiting_ids)]
        for key in listed
    ]
    return _table(["key", "state", "people", "secrets", "awaiting ids"], rows, left=2)


def _state(key: admin_pb2.MasterKey) -> str:
    if key.current:
        return "current"
    if not key.configured:
        return "missing"
    return "may be removed" if key.removable else "in use"


def rotated(done: admin_pb2.RotateKeysResponse) -> str:
    """The result of a rotation, in one line."""
    told = f"{_counted(done.keys, 'key')} sealed with the current one, {_counted(done.values, 'value')} bound to a row"
    return f"{told}, {_counted(done.unreadable, 'value')} cannot be opened" if done.unreadable else told


def _counted(number: int, thing: str) -> str:
    return f"{_number(number)} {thing}{'' if number == 1 else 's'}"


def _number(value: int) -> str:
    return f"{value:,}"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """The first `left` columns are left-aligned, the others are right-aligned."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if number < left else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (headings, *rows)
    )
