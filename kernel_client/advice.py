"""Advice on each error, for the developer or the operator of a channel. docs/reference/errors.md shows it, too."""

from collections.abc import Mapping
from typing import Final

from serving.tls_problems import PROBLEMS


def advice_on(reason: str) -> str:
    """`reason` is that of a `KernelError`."""
    return ADVICE.get(reason, "Repeat the call later; if it lasts, read the log of the kernel service.")


ADVICE: Final[Mapping[str, str]] = {
    "TOKEN_MISSING": "Send the channel's token, or as an operator the admin token, with each call.",
    "TOKEN_INVALID": "Compare the token with `KERNEL_CHANNEL_TOKENS`, or the admin token with `KERNEL_ADMIN_TOKEN`.",
    "CHANNEL_MISMATCH": "Use the token of the channel that the call names, in `channel` or before the colon of an id.",
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
    "PERSON_CHANGED": "Export the person again.",
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
    # Statuses without a reason, and those of this client.
    "UNAVAILABLE": "Repeat the call later; check the address, and that both sides use TLS or neither.",
    "UNREACHABLE": "Nothing answers: check the address, and that both sides use TLS or neither.",
    **{problem.reason: problem.fix for problem in PROBLEMS},
    "DEADLINE_EXCEEDED": "Repeat the call with the same message id: an accepted message is answered once.",
    "CANCELLED": "The client was closed meanwhile: repeat the call with the same message id, in an open one.",
    "UNIMPLEMENTED": "Upgrade the kernel service: it does not know this call.",
    "ACK_REFUSED": "Correct the caller: name a part from 1 to the number of parts, and the same number each time.",
}
