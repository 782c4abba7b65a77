# ruff: noqa: INP001
"""Generate the Python code of the protos, with its types, into protos/gen or the folder that is named."""

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

PROTOS = Path(__file__).parent
BIN = Path(sys.executable).parent


def generate(out: Path) -> int:
    """Exit code of the compiler; 0: `out` holds what belongs there."""
    messages, services = ("python", "mypy"), ("grpc_python", "mypy_grpc")
    sources = sorted(PROTOS.glob("kernel/*/*.proto"))
    serving = [path for path in sources if "\nservice " in path.read_text()]
    return _compile(out, messages, sources) or _compile(out, services, serving)


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
    sys.exit(generate(Path(sys.argv[1]) if len(sys.argv) > 1 else PROTOS / "gen"))
