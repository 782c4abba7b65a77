"""The words of `kernelctl delete`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kernel.v1 import admin_pb2


def warning(kernel: admin_pb2.Kernel) -> str:
    """The person who is about to be deleted."""
    channels, accounts = ", ".join(kernel.channels) or "no channel", len(kernel.connections)
    return (
        f"{kernel.person_id} writes on {channels} and has {_counted(accounts, 'connection')}.\n"
        "Their messages, replies, history, files, facts and schedules are deleted, and\n"
        "their accounts are removed at the tools' vendor. This cannot be undone."
    )


def deleted(answer: admin_pb2.DeletePersonResponse) -> str:
    """The deleted rows, in numbers."""
    counts = (
        _counted(answer.messages, "message"),
        _counted(answer.replies, "reply", "replies"),
        _counted(answer.history_items, "item of the history", "items of the history"),
        _counted(answer.files, "file"),
        _counted(answer.facts, "fact"),
        _counted(answer.schedules, "schedule"),
        _counted(answer.connections, "connection"),
    )
    lines = [f"Deleted {answer.person_id}: {_counted(answer.rows, 'row')} in all.", *(f"  {each}" for each in counts)]
    if answer.revocations:
        lines.append(
            f"The tools' vendor must still remove {answer.revocations:,} of their accounts, triggers and sessions:\n"
            "the service asks it until it has."
        )
    return "\n".join(lines)


def _counted(count: int, one: str, many: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else f'{one}s' if many is None else many or one}"
