"""The contract from its descriptors, including comments."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

PROTOS = Path(__file__).parents[3] / "protos"
_SERVICE, _METHOD, _ENUM, _VALUE = 6, 2, 5, 2  # field numbers of descriptor.proto, which form the paths of comments


@dataclass(frozen=True)
class Rpc:
    service: str
    name: str
    comment: str
    client_streams: bool
    server_streams: bool


@cache
def descriptors() -> FileDescriptorSet:
    sources = sorted(str(path) for path in PROTOS.glob("kernel/*/*.proto"))
    command = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        f"-I{PROTOS}",
        "--include_source_info",
    ]
    out = subprocess.run([*command, "--descriptor_set_out=/dev/stdout", *sources], check=True, capture_output=True)
    return FileDescriptorSet.FromString(out.stdout)


def rpcs() -> Iterator[Rpc]:
    for file in descriptors().file:
        comments = _comments(file)
        for i, service in enumerate(file.service):
            for j, method in enumerate(service.method):
                comment = comments.get((_SERVICE, i, _METHOD, j), "")
                full_name = f"{file.package}.{service.name}"
                yield Rpc(full_name, method.name, comment, method.client_streaming, method.server_streaming)


def error_reasons() -> dict[str, str]:
    """Comment by reason, the reason without its prefix; UNSPECIFIED is omitted."""
    file = next(file for file in descriptors().file if file.name.endswith("errors.proto"))
    comments = _comments(file)
    values = enumerate(file.enum_type[0].value)
    return {
        value.name.removeprefix("ERROR_REASON_"): comments.get((_ENUM, 0, _VALUE, i), "")
        for i, value in values
        if value.number
    }


def _comments(file: FileDescriptorProto) -> dict[tuple[int, ...], str]:
    return {tuple(location.path): location.leading_comments.strip() for location in file.source_code_info.location}
