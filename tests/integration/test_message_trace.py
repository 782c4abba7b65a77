"""docs/contributing/one-message.md says what the code does, and the path does not grow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.message_trace import path_of, section, trace_messages, written

if TYPE_CHECKING:
    from pathlib import Path

FILES, FUNCTIONS, CHANGES_OF_FILE, CROSSINGS = 178, 617, 593, 443
"""The limits of the path. Lower them when a change shortens the path."""
COUNTS = 2
"""The lines with counts, which the comparison leaves out. It also ignores the order of concurrent tasks."""


@pytest.mark.slow
async def test_the_document_shows_the_path_and_the_path_does_not_grow(tmp_path: Path) -> None:
    path = path_of(await trace_messages(tmp_path))

    shown, traced = written().splitlines()[COUNTS:], section(path).splitlines()[COUNTS:]
    assert sorted(traced) == sorted(shown), "run `python -m tests.integration.message_trace`"
    assert len(path.files) <= FILES
    assert path.functions <= FUNCTIONS
    assert path.changes_of_file <= CHANGES_OF_FILE
    assert path.crossings <= CROSSINGS
