"""Advice on each error, for the developer or the operator of a channel."""

from typing import Final

_REPEAT: Final = "Repeat the call later"


def advice_on(reason: str) -> str:
    """`reason` is that of a `KernelError`."""
    return _ADVICE.get(reason, f"{_REPEAT}; if it lasts, read the log of the kernel service.")


_ADVICE: Final = {
    "TOKEN_MISSING": "Give KernelClient the token of the channel.",
    "TOKEN_INVALID": "Compare the token with KERNEL_CHANNEL_TOKENS of the kernel service, and start that again.",
    "CHANNEL_MISMATCH": "Begin the user id with the name of the token's own channel, as in `terminal:1`.",
    "ADMIN_REQUIRED": "Use kernelctl, or KERNEL_ADMIN_TOKEN: a channel may not do this.",
    "USER_NOT_ALLOWED": "Add the person to KERNEL_ALLOWED_USERS of the kernel service, or leave the message.",
    "TOOLKIT_NOT_ALLOWED": "Add the toolkit to those that the operator allows.",
    "FIELD_REQUIRED": "Set the field that the message names.",
    "FIELD_INVALID": "Correct the field that the message names.",
    "USER_ID_INVALID": "Write `<channel>:<id>`, at most 200 bytes, without commas and white space at an end.",
    "USER_ID_RESERVED": "Give each person a separate id.",
    "PAYLOAD_TOO_LARGE": "Send less, or send files by `media_ref`.",
    "PERSON_NOT_FOUND": "Pass on a message of the person first: that creates them.",
    "KERNEL_NOT_RESIDENT": "Do nothing: the kernel is not in memory.",
    "TOOLKIT_UNKNOWN": "Correct the name of the toolkit.",
    "CONNECTION_NOT_FOUND": "List the person's connections.",
    "MEDIA_NOT_FOUND": "Do without the file: its bytes are no longer kept, or another process has its lease.",
    "DEAD_LETTER_NOT_FOUND": "List the dead letters.",
    "MESSAGE_ID_REUSED": "Give each message a separate id, and repeat a message unchanged.",
    "IDENTITY_CONFLICT": "Leave the message: an operator decides whose ids these are, with kernelctl.",
    "TOO_MANY_PENDING": f"{_REPEAT}: the person's earlier messages are being answered.",
    "MEDIA_FULL": f"{_REPEAT}, or let the operator raise the limit of stored files.",
    "CHANNEL_BUSY": f"{_REPEAT}, keep fewer calls open, or let the operator raise the channel's limits.",
    "DRAINING": f"{_REPEAT}: another node answers.",
    "STORE_UNAVAILABLE": f"{_REPEAT}: the database of the kernel service does not answer.",
    "VENDOR_UNAVAILABLE": f"{_REPEAT}: the vendor of the model or of the tools does not answer.",
    "INTERNAL": f"{_REPEAT}; the log of the kernel service names the fault by its `error_id`.",
    "SEALING_KEY_UNKNOWN": f"{_REPEAT}, after the operator has added the master key to KERNEL_ENCRYPTION_KEYS.",
    "SEALED_VALUE_DAMAGED": "Keep the message until the operator has restored the database.",
    "SCHEDULE_INVALID": "Correct the time that the message names.",
    "TOO_MANY_SCHEDULES": "Delete one of the person's schedules first.",
    "REQUEST_ID_REUSED": "Give each schedule a separate request id.",
    # Names of gRPC's statuses, and of this client.
    "UNAVAILABLE": f"{_REPEAT}: nothing answers at the address, or it does not speak TLS as asked.",
    "UNREACHABLE": f"{_REPEAT}: nothing answers at the address, or it does not speak TLS as asked.",
    "DEADLINE_EXCEEDED": f"{_REPEAT} with the same message id: an accepted message is answered once.",
    "UNIMPLEMENTED": "Upgrade the kernel service: it does not know this call.",
    "LEASE_ENDED": "Do nothing: the reply comes again, unless a receipt settles it.",
    "ACK_REFUSED": "Name a part from 1 to the number of parts, and the same number each time.",
}
