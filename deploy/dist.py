"""`make dist`: the sdist, and the wheel built from it, in dist/. The same commit gives the same bytes on every machine.

Only files that git tracks, or would track, are packed. All of them have one time: SOURCE_DATE_EPOCH, by default that of
the last commit.
"""

import gzip
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_BACKEND = "import sys; from setuptools import build_meta; print(getattr(build_meta, sys.argv[1])(sys.argv[2]))"


def build(into: Path) -> tuple[Path, Path]:
    """The paths of the sdist and of the wheel."""
    into = into.resolve()
    into.mkdir(exist_ok=True)
    os.umask(0o022)  # modes are packed, too
    environment = os.environ | {"SOURCE_DATE_EPOCH": epoch(), "PYTHONHASHSEED": "0"}
    with tempfile.TemporaryDirectory() as folder:
        checkout, unpacked = Path(folder, "checkout"), Path(folder, "unpacked")
        _copy_tracked(checkout)
        sdist = _call("build_sdist", checkout, into, environment)
        level(sdist, int(environment["SOURCE_DATE_EPOCH"]))
        shutil.unpack_archive(sdist, unpacked)
        (source,) = unpacked.iterdir()
        return sdist, _call("build_wheel", source, into, environment)


def epoch() -> str:
    """The time of all packed files, in seconds."""
    return os.environ.get("SOURCE_DATE_EPOCH") or _git("log", "-1", "--format=%ct").strip()


def tracked() -> list[str]:
    """The files that git tracks, or would track."""
    names = _git("ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    return [name for name in names if name and (ROOT / name).is_file()]


def _copy_tracked(to: Path) -> None:
    """A copy without what earlier builds and other tools have left in the folders."""
    for name in tracked():
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, to / name)


def _git(*arguments: str) -> str:
    return subprocess.run(("git", *arguments), cwd=ROOT, check=True, capture_output=True, text=True).stdout


def _call(hook: str, folder: Path, into: Path, environment: dict[str, str]) -> Path:
    """Call a hook of setuptools as the installed build back end, and return what it has built."""
    command = (sys.executable, "-c", _BACKEND, hook, str(into))
    done = subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{hook} failed:\n{done.stderr[-4000:]}")
    return into / done.stdout.splitlines()[-1]


def level(sdist: Path, epoch: int) -> None:
    """Pack it again without what differs between machines: order, times, owners, and modes."""
    with tarfile.open(sdist) as archive:
        members = [(member, archive.extractfile(member)) for member in archive.getmembers()]
        with (
            sdist.with_suffix(".new").open("wb") as raw,
            gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=epoch) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as leveled,
        ):
            for member, content in sorted(members, key=lambda each: each[0].name):
                plain = tarfile.TarInfo(member.name)
                plain.type, plain.size, plain.mtime = member.type, member.size, epoch
                plain.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
                leveled.addfile(plain, content)
    sdist.with_suffix(".new").replace(sdist)


if __name__ == "__main__":
    for built in build(Path(sys.argv[1] if len(sys.argv) > 1 else "dist")):
        print(built)
