"""docs/reference/errors.md: each reason of an error, with its status, whether it is retryable, and what to do."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from kernel.v1 import errors_pb2

from checks.reference.markdown import page as written
from checks.reference.markdown import paragraphs
from checks.reference.protos import ENUM, VALUE, files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_INTRODUCTION = """\
# Errors

Every error of the [contract](contract.md) carries a `google.rpc.ErrorInfo` with the domain `kernel.v1` and one of these
reasons. A `google.rpc.BadRequest` names the field at fault, and a `google.rpc.RetryInfo` tells when a retry may
succeed.

A caller keeps what a **retryable** call carried, and repeats the call as it was, not before the delay of the
`RetryInfo`; without one it waits longer each time. It sets aside and counts what any other call carried, since a repeat
fails in the same way. A reason that a client does not know, and a status without a reason, are retryable."""
_ACTIONS: Mapping[str, str] = {
    "TOKEN_MISSING": "Send the channel's token, or as an operator the admin token, with each call.",
    "TOKEN_INVALID": "Compare the token with `KERNEL_CHANNEL_TOKENS`, or the admin token with `KERNEL_ADMIN_TOKEN`.",
    "CHANNEL_MISMATCH": "Use the token of the channel that the id belongs to.",
    "ADMIN_REQUIRED": "Call with the token of `KERNEL_ADMIN_TOKEN`.",
    "USER_NOT_ALLOWED": "Nothing, or let the operator extend `KERNEL_ALLOWED_USERS`.",
    "TOOLKIT_NOT_ALLOWED": "Choose another toolkit, or let the operator extend `KERNEL_TOOLKITS`.",
    "FIELD_REQUIRED": "Correct the caller: set the field.",
    "FIELD_INVALID": "Correct the caller: the contract has the form and the limit of the field.",
    "USER_ID_INVALID": "Correct the caller: form the id as `<channel>:<id>` from the network's own stable id.",
    "USER_ID_RESERVED": "Correct the caller: use an id that belongs to one person.",
    "PAYLOAD_TOO_LARGE": "Ask the person for a smaller message or file.",
    "PERSON_NOT_FOUND": "Check the id; a person exists once they have written.",
    "KERNEL_NOT_RESIDENT": "Nothing: the kernel is not in memory already.",
    "TOOLKIT_UNKNOWN": "Check the name of the toolkit.",
    "CONNECTION_NOT_FOUND": "List the person's connections, and take one of them.",
    "MEDIA_NOT_FOUND": "Stop: the bytes are no longer wanted, or no longer there.",
    "DEAD_LETTER_NOT_FOUND": "List the dead letters, and take one of them.",
    "MESSAGE_ID_REUSED": "Correct the caller: each message of a person needs a different id.",
    "IDENTITY_CONFLICT": "Let an operator check whether the ids belong together (`kernelctl merge`).",
    "TOO_MANY_PENDING": "Repeat the call later.",
    "MEDIA_FULL": "Repeat the call later; an operator may raise `KERNEL_MEDIA_MB`.",
    "CHANNEL_BUSY": "Repeat the call later, with fewer at a time.",
    "KERNEL_BUSY": "Repeat the call when the turn has ended.",
    "LEASE_LOST": "Repeat the call.",
    "CALL_STALLED": "Repeat the call; send and read without a pause.",
    "DRAINING": "Repeat the call, at another node if there is one.",
    "STORE_UNAVAILABLE": "Repeat the call later; an operator looks at the database.",
    "VENDOR_UNAVAILABLE": "Repeat the call later.",
    "INTERNAL": "Repeat the call later; an operator looks for the `error_id` in the log.",
    "SEALING_KEY_UNKNOWN": "Repeat the call once the key is back.",
    "SEALED_VALUE_DAMAGED": "Repeat the call once the database is restored.",
    "NODE_UNAVAILABLE": "Repeat the call later; an operator checks `KERNEL_ADVERTISE` and `KERNEL_ADMIN_TOKEN`.",
    "SCHEDULE_INVALID": "Ask for another time.",
    "TOO_MANY_SCHEDULES": "Ask the person to delete a schedule first.",
    "REQUEST_ID_REUSED": "Correct the caller: each request needs a different id.",
    "TOO_MANY_TRIGGERS": "The assistant asks the person to delete one first.",
    "TRIGGER_ENDING": "The assistant tries again later.",
    "TRIGGER_ENDED": "The person connects the account again.",
    "TRIGGER_UNSETTLED": "The vendor delivers the event again.",
}


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
    yield f"*Action:* {_ACTIONS[reason.name]}"
