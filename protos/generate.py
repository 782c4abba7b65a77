# ruff: noqa: INP001
"""Generate the Python code of the protos, with its types, into protos/gen or the folder that is named.

Without a folder, also the TypeScript code of a channel's calls, if `npm ci` was run in clients/typescript.
"""

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from google.rpc import status_pb2

PROTOS = Path(__file__).parent
BIN = Path(sys.executable).parent
OPERATORS = frozenset({"admin", "export"})
"""Protos that no channel needs."""
TYPESCRIPT = PROTOS.parent / "clients" / "typescript"


def generate(out: Path) -> int:
    """Exit code of the compiler; 0: `out` holds what belongs there."""
    messages, services = ("python", "mypy"), ("grpc_python", "mypy_grpc")
    sources = sorted(PROTOS.glob("kernel/*/*.proto"))
    serving = [path for path in sources if "\nservice " in path.read_text()]
    return _compile(out, messages, sources) or _compile(out, services, serving)


def generate_typescript(out: Path, client: Path = TYPESCRIPT) -> int:
    """As `generate`, with the plugin that is installed in the client's folder."""
    out.mkdir(exist_ok=True)
    shared = Path(status_pb2.__file__).parents[2]
    sources = [path for path in sorted(PROTOS.glob("kernel/*/*.proto")) if path.stem not in OPERATORS]
    sources += [shared / "google/rpc/status.proto", shared / "google/rpc/error_details.proto"]
    command = [
        *(sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTOS}", f"-I{shared}"),
        f"--plugin=protoc-gen-es={client / 'node_modules/.bin/protoc-gen-es'}",
        *(f"--es_out={out}", "--es_opt=target=ts,import_extension=js"),
    ]
    return subprocess.run([*command, *map(str, sources)], check=False).returncode  # noqa: S603


def _compile(out: Path, kinds: Iterable[str], sources: Iterable[Path]) -> int:
    command = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        f"-I{PROTOS}",
        *(f"--{kind}_out={out}" for kind in kinds),
    ]
    # The compiler finds its plugins on the path.
    environment = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run([*command, *map(str, sources)], env=environment, check=False).returncode  # noqa: S603


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(generate(Path(sys.argv[1])))
    if (TYPESCRIPT / "node_modules").exists():
        sys.exit(generate(PROTOS / "gen") or generate_typescript(TYPESCRIPT / "src" / "gen"))
    sys.stderr.write("clients/typescript is left as it is: run `npm ci` there first\n")
    sys.exit(generate(PROTOS / "gen"))
