"""The contract's descriptors with their comments, as the compiler of the protos reads them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from grpc_tools import protoc

# Both declare options, which are read only if they are known.
from kernel.v1 import bound_pb2, errors_pb2  # noqa: F401

if TYPE_CHECKING:
    from collections.abc import Mapping

PROTOS = Path(__file__).parents[2] / "protos"
_GOOGLES = Path(protoc.__file__).parent / "_proto"

# The field numbers of descriptor.proto, of which paths of comments consist.
MESSAGE, ENUM, SERVICE = 4, 5, 6
FIELD, ONEOF, VALUE, METHOD = 2, 8, 2, 2


class File(NamedTuple):
    """`comments`: by the path of what they stand before."""

    proto: FileDescriptorProto
    comments: Mapping[tuple[int, ...], str]


@cache
def files() -> tuple[File, ...]:
    """In the order of their names."""
    sources = sorted(str(path) for path in PROTOS.glob("kernel/v1/*.proto"))
    with TemporaryDirectory() as folder:
        out = f"{folder}/set"
        arguments = [
            "protoc",
            f"-I{PROTOS}",
            f"-I{_GOOGLES}",
            "--include_source_info",
            f"--descriptor_set_out={out}",
            *sources,
        ]
        if protoc.main(arguments):
            raise RuntimeError("the protos do not compile")
        found = FileDescriptorSet.FromString(Path(out).read_bytes())
    return tuple(File(proto, _comments(proto)) for proto in found.file)


def _comments(proto: FileDescriptorProto) -> dict[tuple[int, ...], str]:
    return {tuple(each.path): each.leading_comments for each in proto.source_code_info.location}
