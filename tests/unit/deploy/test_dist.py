"""An archive does not depend on the machine that packs it."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

from deploy.dist import level

if TYPE_CHECKING:
    from pathlib import Path

FILES = {"x-1/a.py": b"a", "x-1/deploy/run": b"run", "x-1/deploy/b.md": b"b" * 2000}


def packed(path: Path, *, names: list[str], umask: int, user: int) -> bytes:
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size, member.uid, member.uname, member.mtime = len(FILES[name]), user, f"user{user}", 1_000 * user
            member.mode = (0o777 if name.endswith("run") else 0o666) & ~umask
            archive.addfile(member, io.BytesIO(FILES[name]))
    level(path, 1_700_000_000)
    return path.read_bytes()


def test_archives_of_two_machines_are_the_same(tmp_path: Path) -> None:
    one = packed(tmp_path / "one.tar.gz", names=list(FILES), umask=0o022, user=1)
    other = packed(tmp_path / "other.tar.gz", names=list(reversed(FILES)), umask=0o077, user=2)
    assert one == other
    with tarfile.open(tmp_path / "one.tar.gz") as archive:
        assert {member.name: member.mode for member in archive} == {
            "x-1/a.py": 0o644,
            "x-1/deploy/b.md": 0o644,
            "x-1/deploy/run": 0o755,
        }
