from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest
from dotenv import dotenv_values
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelctl.init.env_file import ChangedMeanwhileError, EnvFile, quoted

EXISTING = """# The bot's own settings.
export OPENAI_MODEL=old  # chosen by Ana

MULTI="two
lines"
UNKNOWN_TO_US=stays
OPENAI_API_KEY=first
OPENAI_API_KEY=last
#COMPOSIO_VERIFIER=false
"""


def changed(folder: Path, text: str, **values: str) -> str:
    path = folder / ".env"
    path.write_bytes(text.encode())
    file = EnvFile(path)
    file.update(values)
    file.write()
    return path.read_bytes().decode()


def test_only_the_settings_that_change_are_touched(tmp_path: Path) -> None:
    text = changed(tmp_path, EXISTING, OPENAI_MODEL="new", OPENAI_API_KEY="own", COMPOSIO_VERIFIER="true", ADDED="a b")
    assert text == (
        EXISTING.replace("OPENAI_MODEL=old", "OPENAI_MODEL=new")
        .replace("OPENAI_API_KEY=last", "OPENAI_API_KEY=own")
        .replace("#COMPOSIO_VERIFIER=false\n", "#COMPOSIO_VERIFIER=false\nCOMPOSIO_VERIFIER=true\n")
        + "\n# Set by kernelctl init.\nADDED='a b'\n"
    )


def test_the_backup_and_the_file_are_closed_to_others_and_the_old_text_is_kept(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("A=1\n")
    path.chmod(0o644)
    file = EnvFile(path)
    file.update({"A": "2"})
    backup = file.write()
    assert backup is not None
    assert backup.read_text() == "A=1\n"
    assert {stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()} == {0o600}
    assert len(list(tmp_path.iterdir())) == 2


def test_a_failed_write_leaves_the_file_and_no_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / ".env"
    file = EnvFile(path, "A=1\n")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        file.write()
    assert list(tmp_path.iterdir()) == []


def test_a_change_by_another_program_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("A=1\n")
    file = EnvFile(path)
    file.update({"A": "2"})
    path.write_text("A=3\n")
    with pytest.raises(ChangedMeanwhileError):
        file.write()
    assert path.read_text() == "A=3\n"


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    file = EnvFile(path)
    file.update({"A": "2"})
    path.write_text("A=3\n")
    with pytest.raises(ChangedMeanwhileError):
        file.write()
    assert path.read_text() == "A=3\n"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("A=1\n")
    link = tmp_path / ".env"
    link.symlink_to("real")
    file = EnvFile(link)
    file.update({"A": "2"})
    file.write()
    assert link.is_symlink()
    assert (tmp_path / "real").read_text() == "A=2\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "\n# Set by kernelctl init.\nA=v\n"),
        ("A=1", "A=v"),
        ("A=1\r\nB=2\r\n", "A=v\r\nB=2\r\n"),
        ("A = 1\n", "A=v\n"),
        ("A\n", "A=v\n"),
        ("A='x # y' # why\n", "A=v # why\n"),
        ("#A=example", "#A=example\nA=v\n"),
        ("B=1", "B=1\n\n# Set by kernelctl init.\nA=v\n"),
    ],
)
def test_odd_files(tmp_path: Path, text: str, expected: str) -> None:
    assert changed(tmp_path, text, A="v") == expected.removeprefix("\n" if not text else "")


def test_lines_that_are_no_settings_are_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=1\n=oops\nB='open\n")
    assert EnvFile(tmp_path / ".env").unreadable_lines() == [2, 3]


@pytest.mark.parametrize("value", ["a\\", "a\\\\b", "${HOME}", "a'b\"c", "a'$b", "a\nb", "a\x00"])
def test_a_value_that_is_not_read_alike_everywhere_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"^(ends|has)"):
        quoted(value)


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), max_size=30))
def test_each_value_is_read_as_it_was_given_or_refused(value: str) -> None:
    import tempfile  # noqa: PLC0415 - tmp_path is shared by the examples

    try:
        quoted(value)
    except ValueError:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ".env"
        file = EnvFile(path)
        file.update({"A": value})
        file.write()
        assert dotenv_values(path) == {"A": value}


@pytest.mark.parametrize("value", ["plain", "a b", "$HOME", 'a"b', "it's", "#x", "a\\b", "`id`", "a=b,c"])
def test_a_shell_reads_the_same(tmp_path: Path, value: str) -> None:
    script = f'A={quoted(value)}\nprintf %s "$A"'
    assert subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout == value
