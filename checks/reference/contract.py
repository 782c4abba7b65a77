"""docs/reference/contract.md: services, rpcs, messages and enums, from the protos and their comments."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from google.protobuf.descriptor_pb2 import FieldDescriptorProto
from kernel.v1 import bound_pb2

from checks.reference.errors import reasons
from checks.reference.markdown import item, paragraphs
from checks.reference.markdown import page as written
from checks.reference.protos import ENUM, FIELD, MESSAGE, METHOD, ONEOF, SERVICE, VALUE, File, files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, ServiceDescriptorProto

_INTRODUCTION = """\
# Contract

A channel, an operator and the nodes speak the package `kernel.v1` over gRPC. Its protos are in
[protos/kernel/v1](../../protos/kernel/v1). [Another channel](../how-to/another-channel.md) shows its use, and
[Errors](errors.md) has each reason of an error.

Beside each field of a request stands its limit, in bytes of UTF-8. A longer value is refused unless it says
that it is cut. A client reads the limits from the option `(kernel.v1.bound)` of the descriptors."""
_ERRORS = "ErrorReason"
_CHANNELS, _OPERATORS = "kernel/v1/kernel.proto", "kernel/v1/admin.proto"
_PACKAGE = ".kernel.v1."
_TYPES = {number: name.removeprefix("TYPE_").lower() for name, number in FieldDescriptorProto.Type.items()}


def page() -> str:
    return written(
        "the protos",
        _INTRODUCTION,
        *(part for file in _in_order() for part in _services(file)),
        *(part for file in _in_order() for part in _file_types(file)),
    )


def _in_order() -> list[File]:
    """Those of channels, then the operators'."""
    return sorted(files(), key=lambda file: (file.proto.name == _OPERATORS, file.proto.name != _CHANNELS))


def _services(file: File) -> Iterator[str]:
    for number, service in enumerate(file.proto.service):
        yield f"## {service.name}"
        yield _with_reasons(paragraphs(file.comments[SERVICE, number]))
        yield from _rpcs(file, service, (SERVICE, number))


def _rpcs(file: File, service: ServiceDescriptorProto, path: tuple[int, ...]) -> Iterator[str]:
    for number, rpc in enumerate(service.method):
        asked = f"{'a stream of ' if rpc.client_streaming else ''}{_type(rpc.input_type)}"
        answered = f"{'a stream of ' if rpc.server_streaming else ''}{_type(rpc.output_type)}"
        yield f"### {rpc.name}"
        yield f"Takes {asked}, returns {answered}."
        yield _with_reasons(paragraphs(file.comments[*path, METHOD, number]))


def _with_reasons(text: str) -> str:
    """The names of reasons become links to them."""
    named = "|".join(reason.name for reason in reasons())
    return re.sub(rf"\b({named})\b", lambda each: f"[{each[0]}](errors.md#{each[0].lower()})", text)


def _file_types(file: File) -> Iterator[str]:
    messages = [(each, (MESSAGE, number)) for number, each in enumerate(file.proto.message_type)]
    enums = [(each, (ENUM, number)) for number, each in enumerate(file.proto.enum_type) if each.name != _ERRORS]
    if messages or enums:
        yield f"## Types of {file.proto.name.rpartition('/')[2]}"
    for message, path in messages:
        yield f"### {message.name}"
        yield paragraphs(file.comments[path])
        yield "\n".join(_fields(file, message, path)) or "It has no fields."
    for enum, path in enums:
        yield f"### {enum.name}"
        yield paragraphs(file.comments[path])
        yield "\n".join(_values(file, enum, path))


def _fields(file: File, message: DescriptorProto, path: tuple[int, ...]) -> Iterator[str]:
    """One item for each field. Those of a oneof are below an item for it."""
    if message.nested_type and not all(each.options.map_entry for each in message.nested_type):
        raise NotImplementedError(f"{message.name} has a nested message")
    begun = -1
    for number, field in enumerate(message.field):
        line = item(f"`{field.name}` ({_kind(message, field)}):", paragraphs(file.comments[*path, FIELD, number]))
        if not field.HasField("oneof_index") or field.proto3_optional:
            yield line
            continue
        if field.oneof_index != begun:
            begun = field.oneof_index
            oneof = message.oneof_decl[begun].name
            yield item(f"One of `{oneof}`:", paragraphs(file.comments.get((*path, ONEOF, begun), "")))
        yield f"  {line}".replace("\n", "\n  ").replace("\n  \n", "\n\n")


def _kind(message: DescriptorProto, field: FieldDescriptorProto) -> str:
    """The type and the limits."""
    repeated = field.label == FieldDescriptorProto.LABEL_REPEATED
    if entry := next((each for each in message.nested_type if field.type_name.endswith(f".{each.name}")), None):
        key, value = entry.field
        kind = f"map of {_simple(key)} to {_simple(value)}"
    else:
        kind = f"{'repeated ' if repeated else ''}{'optional ' if field.proto3_optional else ''}{_simple(field)}"
    return ", ".join([kind, *_limits(field.options.Extensions[bound_pb2.bound])])


def _limits(bound: bound_pb2.Bound) -> Iterator[str]:
    if bound.items:
        yield f"at most {bound.items:,}"
    if bound.bytes:
        yield f"at most {bound.bytes:,} bytes{' each' if bound.items else ''}"
    if bound.cut:
        yield "longer is cut"


def _simple(field: FieldDescriptorProto) -> str:
    return _type(field.type_name) if field.type_name else _TYPES[field.type]


def _type(name: str) -> str:
    """A link to a type of the contract; another type by its name."""
    own = name.removeprefix(_PACKAGE)
    if own == _ERRORS:
        return f"[{own}](errors.md)"
    return f"`{name.removeprefix('.')}`" if own == name else f"[{own}](#{own.lower()})"


def _values(file: File, enum: EnumDescriptorProto, path: tuple[int, ...]) -> Iterator[str]:
    for number, value in enumerate(enum.value):
        comment = paragraphs(file.comments[*path, VALUE, number])
        yield item(f"`{value.name}` ({value.number}):", comment)
