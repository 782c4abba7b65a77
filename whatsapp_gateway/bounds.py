"""The kernel service's limits for each field (`bound.proto`). WhatsApp documents no limits for what it delivers."""

from functools import cache

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from kernel.v1 import bound_pb2


def cut(message: Message) -> bool:
    """Truncate, in place, fields that exceed their bound and may be truncated. Returns whether all bounds are met."""
    fits = True
    for field, value in message.ListFields():
        bound = bound_of(field)
        if isinstance(value, str) and len(value.encode()) <= bound.bytes:  # as nearly always
            continue
        if field.is_repeated:
            fits &= bound.cut or len(value) <= bound.items
            del value[bound.items :]
        values = list(value) if field.is_repeated else [value]
        fits &= all(cut(each) for each in values if isinstance(each, Message))
        if not any(isinstance(each, str) and len(each.encode()) > bound.bytes for each in values):
            continue
        if not bound.cut:
            fits = False
        elif field.is_repeated:
            value[:] = [_shortened(each, bound.bytes) for each in values]
        else:
            setattr(message, field.name, _shortened(value, bound.bytes))
    return fits


def _shortened(text: str, most: int) -> str:
    return text.encode()[:most].decode(errors="ignore")


@cache
def bound_of(field: FieldDescriptor) -> bound_pb2.Bound:
    """The bound of a request field; each field with text or several values has one."""
    bound: bound_pb2.Bound = field.GetOptions().Extensions[bound_pb2.bound]
    return bound
