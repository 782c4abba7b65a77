"""Files that tools made for a person: stored with the message that they answer, then with their reply."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, update

from kernel_service.storage.schema.media import media

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.ports.messages import ReplyFile
    from kernel_service.storage.engine.engine import Tx


_GOES_WITH = update(media).where(media.c.id.in_(bindparam("files", expanding=True))).values(reply_id=bindparam("of"))


def attach(tx: Tx, reply_id: str, files: Sequence[ReplyFile]) -> None:
    """Attach the files to this reply; they are kept until it is settled."""
    tx.execute(_GOES_WITH, {"files": [file.id for file in files], "of": reply_id})
