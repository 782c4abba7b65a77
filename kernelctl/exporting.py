"""Writes an export into its folder, with progress on a terminal, and prints counts. It never shows content."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final

import click

from kernelctl.export_folder import ExportFolder

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from kernel.v1 import admin_pb2

_EVERY_SECONDS: Final = 0.2
_MB: Final = 1_000_000


def export(records: Iterable[admin_pb2.ExportPersonResponse], into: Path) -> None:
    """Exit code 2 and one line on stderr if the folder is not empty or cannot be written."""
    try:
        written = _write(records, into)
    except OSError as problem:
        click.echo(f"kernelctl: {into} cannot be written: {problem.strerror}", err=True)
        sys.exit(2)
    for kind, count in written.counts.items():
        click.echo(f"{kind.replace('_', ' ')}: {count:,}")
    click.echo(f"{_told(written)} written to {into}")
    if written.unreadable:
        click.echo(f"Values that do not open: {written.unreadable:,}. Their records name them as `unreadable`.")


def _write(records: Iterable[admin_pb2.ExportPersonResponse], into: Path) -> ExportFolder:
    is_shown, shown_at = sys.stderr.isatty(), 0.0
    with ExportFolder(into) as folder:
        for record in records:
            folder.add(record)
            if is_shown and time.monotonic() - shown_at > _EVERY_SECONDS:
                shown_at = time.monotonic()
                click.echo(f"\r{_told(folder)} …", err=True, nl=False)
        folder.finish()
    if shown_at:
        click.echo("\r\033[K", err=True, nl=False)
    return folder


def _told(folder: ExportFolder) -> str:
    return f"{folder.counts.total():,} records, files: {folder.counts['file']:,} ({folder.bytes / _MB:,.1f} MB)"
