"""Limits of each request field, from the contract (`bound.proto`): readable text is truncated, identifiers are
rejected.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.descriptor import FieldDescriptor
from kernel.v1 import bound_pb2

from kernel_service.errors import CallerError

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor
    from google.protobuf.message import Message

_TEXT_BYTES: Final = 64 * 1024
"""A field with a higher limit holds content, and not a name."""
_STRING: Final = FieldDescriptor.TYPE_STRING
_BYTES: Final = FieldDescriptor.TYPE_BYTES


def check(message: Message, path: str = "") -> None:
    """Truncate fields that exceed their bound and may be truncated, in place.

    For other fields raise `CallerError` FIELD_INVALID, USER_ID_INVALID or PAYLOAD_TOO_LARGE, which names the field.
    """
    if not _surely_fits(message):
        _check(message, path)


def _surely_fits(message: Message) -> bool:
    """Whether all fields are within their bounds, as in most requests. False: it must be checked by name."""
    to_see = [message]
    for each in to_see:  # the list grows meanwhile
        rules = _rules(each.DESCRIPTOR)
        for field, value in each.ListFields():
            rule = rules[field]
            if rule.is_list:
                if rule.is_sized or len(value) > rule.items:
                    return False
                if rule.holds_bounded:
                    to_see.extend(value)
            elif rule.holds_bounded:
                to_see.append(value)
            elif rule.is_sized and len(value) > rule.surely and not (len(value) <= rule.bytes and value.isascii()):
                return False
    return True


def _check(message: Message, path: str) -> None:
    rules = _rules(message.DESCRIPTOR)
    for field, value in message.ListFields():
        rule = rules[field]
        if rule.is_list:
            _check_items(message, field, rule, value, path)
        elif rule.holds_bounded:
            _check(value, f"{path}{rule.name}.")
        elif rule.is_sized and (kept := _checked(field, value, f"{path}{rule.name}")) is not value:
            setattr(message, rule.name, kept)


def _check_items(message: Message, field: FieldDescriptor, rule: _Rule, values: Any, path: str) -> None:
    if len(values) > rule.items:
        bound = bound_of(field)
        if not bound.cut:
            raise _refused(field, f"{path}{field.name}", f"hold at most {bound.items}")
        del values[bound.items :]
    for place, value in enumerate(values):
        name = f"{path}{rule.name}[{place}]"
        if rule.holds_bounded:
            _check(value, f"{name}.")
        elif rule.is_sized and (kept := _checked(field, value, name)) is not value:
            getattr(message, rule.name)[place] = kept


@dataclass(frozen=True, slots=True)
class _Rule:
    """A field of a message type, read once. A value of at most `surely` characters or bytes is within its bound.

    `holds_bounded`: it holds messages with bounded fields.
    """

    name: str
    is_list: bool
    is_sized: bool
    holds_bounded: bool
    surely: int
    bytes: int
    items: int


@cache
def _rules(descriptor: Descriptor) -> dict[FieldDescriptor, _Rule]:
    return {field: _rule(field) for field in descriptor.fields}


def _rule(field: FieldDescriptor) -> _Rule:
    bound, held = bound_of(field), field.message_type
    return _Rule(
        name=field.name,
        is_list=field.is_repeated,
        is_sized=field.type in {_STRING, _BYTES},
        holds_bounded=held is not None and any(map(_is_bounded, _rules(held).values())),
        surely=bound.bytes if field.type == _BYTES else bound.bytes // 4,  # a character has 4 bytes at most
        bytes=bound.bytes,
        items=bound.items,
    )


def _is_bounded(rule: _Rule) -> bool:
    return rule.is_list or rule.is_sized or rule.holds_bounded


def _checked(field: FieldDescriptor, value: str | bytes, name: str) -> str | bytes:
    """The value itself if it is within its bound, otherwise its truncated form."""
    bound = bound_of(field)
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
