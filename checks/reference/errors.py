"""docs/reference/errors.md: each reason of an error, with its status, whether it is retryable, and what to do."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from kernel.v1 import errors_pb2

from checks.reference.markdown import page as written
from checks.reference.markdown import paragraphs
from checks.reference.protos import ENUM, VALUE, files
from kernel_client.advice import ADVICE

if TYPE_CHECKING:
    from collections.abc import Iterator

_INTRODUCTION = """\
# Errors

Every error of the [contract](contract.md) carries a `google.rpc.ErrorInfo` with the domain `kernel.v1` and one of these
reasons. A `google.rpc.BadRequest` names the field at fault, and a `google.rpc.RetryInfo` tells when a retry may
succeed.

A caller keeps what a **retryable** call carried, and repeats the call as it was, not before the delay of the
`RetryInfo`; without one it waits longer each time. It sets aside and counts what any other call carried, since a repeat
fails in the same way. A reason that a client does not know, and a status without a reason, are retryable."""


class Reason(NamedTuple):
    name: str
    number: int
    status: str
    retryable: bool
    text: str


def page() -> str:
    by_status: dict[str, list[Reason]] = defaultdict(list)
    for reason in reasons():
        by_status[reason.status].append(reason)
    return written(
        "`errors.proto`",
        _INTRODUCTION,
        *(
            part
            for status, listed in by_status.items()
            for part in [f"## {status}", *(each for reason in listed for each in _section(reason))]
        ),
    )


def reasons() -> Iterator[Reason]:
    file = next(each for each in files() if each.proto.name.endswith("/errors.proto"))
    (enum,) = file.proto.enum_type
    for number, value in enumerate(enum.value):
        name = value.name.removeprefix("ERROR_REASON_")
        if value.number:
            status, _, text = file.comments[ENUM, 0, VALUE, number].strip().partition(": ")
            retryable = value.options.Extensions[errors_pb2.retryable]
            yield Reason(name, value.number, status, retryable, f"{text[0].upper()}{text[1:]}")


def _section(reason: Reason) -> Iterator[str]:
    yield f"### `{reason.name}`"
    yield f"{'**Retryable**' if reason.retryable else 'Not retryable'}, number {reason.number}."
    yield paragraphs(reason.text)
    yield f"*Action:* {ADVICE[reason.name]}"
