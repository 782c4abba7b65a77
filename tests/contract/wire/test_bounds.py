"""Every text, file and list of every request has a bound in the contract, and each bound is enforced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor
from kernel.v1 import admin_pb2, kernel_pb2, messages_pb2

from kernel_service.api import bounds
from kernel_service.errors import CallerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.descriptor import Descriptor
    from google.protobuf.message import Message

REQUESTS = [
    method.input_type
    for file in (kernel_pb2, admin_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
WELL_KNOWN = "google.protobuf."
SIZED = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)
Path = tuple[FieldDescriptor, ...]


def fields(descriptor: Descriptor, path: Path = ()) -> Iterator[Path]:
    """Every path to every field; a recursive message would have infinitely many."""
    for field in descriptor.fields:
        assert field not in path, f"{descriptor.full_name} is recursive"
        yield (*path, field)
        if field.message_type is not None and not field.message_type.full_name.startswith(WELL_KNOWN):
            yield from fields(field.message_type, (*path, field))


WAYS = [way for request in REQUESTS for way in fields(request)]
TEXTS = [way for way in WAYS if way[-1].type in SIZED and way[-1].full_name != "kernel.v1.UploadMediaRequest.chunk"]
LISTS = [way for way in WAYS if way[-1].is_repeated]


def name_of(way: Path) -> str:
    return ".".join((_owner(way).name, *(field.name for field in way)))


def _owner(way: Path) -> Descriptor:
    owner: Descriptor = way[0].containing_type  # type: ignore[assignment]  # no extension is among them
    return owner


def holding(way: Path, value: Any) -> tuple[Message, Message]:
    """A request with this value in that field, and the message that contains the field."""
    request: Message = message_factory.GetMessageClass(_owner(way))()
    owner: Any = request
    for field in way[:-1]:
        owner = getattr(owner, field.name)
        if field.is_repeated:
            owner = owner.add()
    if way[-1].is_repeated:
        getattr(owner, way[-1].name).extend(value)
    else:
        setattr(owner, way[-1].name, value)
    return request, owner


def long(field: FieldDescriptor, size: int) -> Any:
    """Two-byte characters, so that a bound of an even number of bytes is met exactly."""
    value: Any = b"x" * size if field.type == FieldDescriptor.TYPE_BYTES else "é" * (size // 2) + "x" * (size % 2)
    return [value] if field.is_repeated else value


def kept(owner: Message, field: FieldDescriptor) -> Any:
    value = getattr(owner, field.name)
    return value[0] if field.is_repeated else value


@pytest.mark.parametrize("way", WAYS, ids=name_of)
def test_each_field_that_can_grow_has_a_bound(way: Path) -> None:
    field, bound = way[-1], bounds.bound_of(way[-1])
    assert (bound.bytes > 0) == (field.type in SIZED)
    assert (bound.items > 0) == field.is_repeated


@pytest.mark.parametrize("way", TEXTS, ids=name_of)
def test_a_long_text_is_rejected_by_its_name_or_truncated(way: Path) -> None:
    field, bound = way[-1], bounds.bound_of(way[-1])
    request, owner = holding(way, long(field, bound.bytes))
    bounds.check(request)
    assert kept(owner, field) == kept(holding(way, long(field, bound.bytes))[1], field)
    request, owner = holding(way, long(field, bound.bytes + 1))
    if bound.cut:
        bounds.check(request)
        value = kept(owner, field)
        assert bound.bytes - 3 <= len(value.encode() if isinstance(value, str) else value) <= bound.bytes
        return
    with pytest.raises(CallerError) as refused:
        bounds.check(request)
    assert refused.value.field.replace("[0]", "") == name_of(way).partition(".")[2]
    assert str(bound.bytes) in refused.value.sentence
    assert "é" not in refused.value.sentence


@pytest.mark.parametrize("way", LISTS, ids=name_of)
def test_a_long_list_is_rejected_by_its_name_or_truncated(way: Path) -> None:
    field, bound = way[-1], bounds.bound_of(way[-1])
    one = message_factory.GetMessageClass(field.message_type)() if field.message_type else None
    value = one if one is not None else "x" if field.type in SIZED else 1
    bounds.check(holding(way, [value] * bound.items)[0])
    request, owner = holding(way, [value] * (bound.items + 1))
    if bound.cut:
        bounds.check(request)
        assert len(getattr(owner, field.name)) == bound.items
        return
    with pytest.raises(CallerError) as refused:
        bounds.check(request)
    assert refused.value.field.replace("[0]", "") == name_of(way).partition(".")[2]


def most(descriptor: Descriptor) -> int:
    """The largest size of a message in bytes, without a file's content; of alternatives the largest."""
    apart = {"": 0}
    for field in descriptor.fields:
        bound = bounds.bound_of(field)
        each = 12
        if field.message_type is not None and not field.message_type.full_name.startswith(WELL_KNOWN):
            each += most(field.message_type)
        size = (each + (0 if field.name == "data" else bound.bytes)) * max(bound.items, 1)
        group = field.containing_oneof.name if field.containing_oneof else ""
        apart[group] = max(apart.get(group, 0), size) if group else apart[""] + size
    return sum(apart.values())


def test_a_whole_message_is_bounded_by_its_fields() -> None:
    assert most(messages_pb2.HandleMessageRequest.DESCRIPTOR) < 512 * 1024
