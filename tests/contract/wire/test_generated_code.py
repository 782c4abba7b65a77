"""The committed code under protos/gen is the code that the protos generate."""

import subprocess
import sys
from pathlib import Path

PROTOS = Path(__file__).parents[3] / "protos"


def generated(folder: Path) -> dict[str, str]:
    files = (path for suffix in ("*.py", "*.pyi") for path in folder.rglob(suffix))
    return {str(path.relative_to(folder)): path.read_text() for path in files}


def test_the_generated_code_is_in_sync(tmp_path: Path) -> None:
    subprocess.run([sys.executable, PROTOS / "generate.py", tmp_path], check=True, capture_output=True)
    fresh = generated(tmp_path)
    assert "kernel/v1/kernel_pb2_grpc.py" in fresh
    assert generated(PROTOS / "gen") == fresh, "run `make proto` and commit the result"
