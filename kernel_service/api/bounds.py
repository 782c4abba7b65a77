"""Limits of each request field, from the contract (`bound.proto`): readable text is truncated, identifiers are
rejected.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.descriptor import FieldDescriptor
from kernel.v1 import bound_pb2

from kernel_service.errors import CallerError

if TYPE_CHECKING:
    from google.protobuf.message import Message

_TEXT_BYTES: Final = 64 * 1024
"""A field with a higher limit holds content, and not a name."""
_MESSAGE: Final = FieldDescriptor.TYPE_MESSAGE
_STRING: Final = FieldDescriptor.TYPE_STRING
_BYTES: Final = FieldDescriptor.TYPE_BYTES


def check(message: Message, path: str = "") -> None:
    """Truncate fields that exceed their bound and may be truncated, in place.

    For other fields raise `CallerError` FIELD_INVALID, USER_ID_INVALID or PAYLOAD_TOO_LARGE, which names the field.
    """
    for field, value in message.ListFields():
        if field.is_repeated:
            _check_items(message, field, value, path)
        elif field.type == _MESSAGE:
            check(value, f"{path}{field.name}.")
        elif field.type in {_STRING, _BYTES} and (kept := _checked(field, value, f"{path}{field.name}")) is not value:
            setattr(message, field.name, kept)


def _check_items(message: Message, field: FieldDescriptor, values: Any, path: str) -> None:
    bound = bound_of(field)
    if len(values) > bound.items:
        if not bound.cut:
            raise _refused(field, f"{path}{field.name}", f"hold at most {bound.items}")
        del values[bound.items :]
    for place, value in enumerate(values):
        name = f"{path}{field.name}[{place}]"
        if field.type == _MESSAGE:
            check(value, f"{name}.")
        elif field.type in {_STRING, _BYTES} and (kept := _checked(field, value, name)) is not value:
            getattr(message, field.name)[place] = kept


def _checked(field: FieldDescriptor, value: str | bytes, name: str) -> str | bytes:
    """The value itself if it is within its bound, otherwise its truncated form."""
    bound = bound_of(field)
    if len(value) * (1 if isinstance(value, bytes) else 4) <= bound.bytes:  # a character has 4 bytes at most
        return value
    raw = value if isinstance(value, bytes) else value.encode()
    if len(raw) <= bound.bytes:
        return value
    if not bound.cut:
        raise _refused(field, name, f"hold at most {bound.bytes} bytes")
    return raw[: bound.bytes].decode(errors="ignore") if isinstance(value, str) else raw[: bound.bytes]


def _refused(field: FieldDescriptor, name: str, rule: str) -> CallerError:
    if field.name == "user_id":
        reason = "USER_ID_INVALID"
    else:
        reason = "PAYLOAD_TOO_LARGE" if bound_of(field).bytes >= _TEXT_BYTES else "FIELD_INVALID"
    return CallerError(reason, f"`{name}` may {rule}", field=name)


@cache
def bound_of(field: FieldDescriptor) -> bound_pb2.Bound:
    """The bound of a request field. The tests check that each field has one."""
    bound: bound_pb2.Bound = field.GetOptions().Extensions[bound_pb2.bound]
    return bound
