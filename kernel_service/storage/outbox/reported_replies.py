"""The replies that a batch of reports is about: locked and read together, changed in memory, written together.

The number of statements does not depend on the number of reports. A unit waits for no lock: a transaction holds the
replies of several units, and would wait in a circle with one of another node. A unit that meets a lock is repeated in
the next transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Float, Integer, bindparam, exists, insert, literal_column, select, update

from kernel_service.ports.states.part import PART, PartState
from kernel_service.ports.states.reply import REPLY, ReplyState
from kernel_service.storage.keys import message_ids
from kernel_service.storage.schema.outbox import LATER_UNSETTLED, reply, reply_part

if TYPE_CHECKING:
    from sqlalchemy import Row

    from kernel_service.storage.engine.engine import Tx

_later = reply.alias("later")
_IS_AWAITED = (
    exists()
    .where(
        _later.c.person_id == reply.c.person_id,
        _later.c.channel == reply.c.channel,
        _later.c.seq > reply.c.seq,
        LATER_UNSETTLED,
        _later.c.state == literal_column(f"'{ReplyState.PENDING}'"),
    )
    .correlate(reply)
)
REPLIES = (
    select(
        reply.c.seq,
        reply.c.id,
        reply.c.person_id,
        reply.c.address,
        reply.c.state,
        reply.c.settled_at,
        reply.c.token,
        reply.c.leased_until,
        reply.c.doubtful_since,
        reply.c.doubt_attended,
        reply.c.not_before,
        reply.c.attempts,
        reply.c.repeats,
        reply.c.parts,
        reply.c.split_version,
        reply.c.error_code,
        _IS_AWAITED.label("is_awaited"),
    )
    .where(
        reply.c.id.in_(bindparam("replies", expanding=True)),
        reply.c.channel == bindparam("channel"),
        reply.c.state != ReplyState.INLINE.value,
    )
    .order_by(reply.c.id)
    .with_for_update(of=reply, nowait=True)
)
# Not joined to the replies: in PostgreSQL a join that waited for their locks shows their parts as they were before.
_PARTS = select(reply_part).where(reply_part.c.reply_id.in_(bindparam("replies", expanding=True)))
_ADD_PART = insert(reply_part)
_SET_PART = (
    update(reply_part)
    .where(reply_part.c.reply_id == bindparam("of"), reply_part.c.part == bindparam("number"))
    .values(
        sent_at=bindparam("sent", type_=Float),
        receipt=bindparam("said"),
        error_code=bindparam("problem"),
    )
)
# SQLite writes the index of a column that is set, even if its value stays.
_SET_NAMED_PART = _SET_PART.values(channel_message_id=bindparam("sent_as"))
_SET_REPLY = (
    update(reply)
    .where(reply.c.seq == bindparam("of"))
    .values(
        state=bindparam("to"),
        settled_at=bindparam("settled", type_=Float),
        leased_until=bindparam("until", type_=Float),
        doubtful_since=bindparam("since", type_=Float),
        doubt_attended=bindparam("attended", type_=Float),
        not_before=bindparam("later", type_=Float),
        repeats=bindparam("repeated", type_=Integer),
        parts=bindparam("into", type_=Integer),
        split_version=bindparam("version"),
        error_code=bindparam("problem"),
    )
)
_FREES: Final = (ReplyState.SENT, ReplyState.FAILED, ReplyState.HELD)
"""The states that do not delay the person's later replies."""


@dataclass(slots=True)
class ReportedPart:
    """`sent_as`: the digest of the channel's id, or empty."""

    number: int
    sent_at: float | None = None
    sent_as: str = ""
    receipt: PartState = PartState.UNREPORTED
    error_code: str = ""
    is_stored: bool = False
    is_changed: bool = False
    is_renamed: bool = False

    def report(self, sent_at: float | None, sent_as: str, receipt: PartState, error_code: str) -> None:
        if receipt is not self.receipt:
            PART.check(self.receipt, receipt)
        changed = sent_at, sent_as, receipt, error_code
        if changed != (self.sent_at, self.sent_as, self.receipt, self.error_code):
            self.is_renamed = self.is_renamed or sent_as != self.sent_as
            self.sent_at, self.sent_as, self.receipt, self.error_code = changed
            self.is_changed = True


@dataclass(slots=True, eq=False)
class ReportedReply:
    """A row of `REPLIES`, whose columns are the first fields, in this order.

    `parts`: how many it was split into, 0 if unknown. `is_awaited`: a later reply waits for it.

    `sent_at`: when its last part was accepted, as it was before the reports; None: no part is known to be.
    """

    seq: int
    id: str
    person_id: str
    address: str
    state: ReplyState
    settled_at: float | None
    token: str
    leased_until: float | None
    doubtful_since: float | None
    doubt_attended: float
    not_before: float | None
    attempts: int
    repeats: int
    parts: int
    split_version: str
    error_code: str
    is_awaited: bool
    sent_at: float | None = None
    known_parts: dict[int, ReportedPart] = field(default_factory=dict)
    is_changed: bool = False

    def part(self, number: int) -> ReportedPart:
        known = self.known_parts.get(number)
        if known is None:
            known = self.known_parts[number] = ReportedPart(number)
        return known

    def split(self, parts: int, version: str) -> None:
        if (self.parts, self.split_version) != (parts, version):
            self.parts, self.split_version, self.is_changed = parts, version, True

    def move(
        self,
        state: ReplyState,
        *,
        settled_at: float | None = None,
        not_before: float | None = None,
        error_code: str = "",
        repeated: int = 0,
    ) -> None:
        REPLY.check(self.state, state)
        self.state, self.settled_at, self.not_before, self.error_code = state, settled_at, not_before, error_code
        self.doubtful_since, self.doubt_attended = None, 0.0
        self.repeats += repeated
        self.is_changed = True

    def doubt(self, now: float, *, until: float, error_code: str) -> None:
        """A channel reports an unknown outcome. A call that it abandoned may still run until `until`."""
        REPLY.check(self.state, ReplyState.IN_DOUBT)
        self.state, self.error_code, self.leased_until = ReplyState.IN_DOUBT, error_code, until
        self.doubtful_since, self.doubt_attended = now, 0.0
        self.is_changed = True


class ReportedReplies:
    """Of one channel and one transaction, by id. Those of other channels and of waiting callers are not among them.

    An empty id matches no reply.
    """

    def __init__(self, tx: Tx, channel: str, reply_ids: set[str]) -> None:
        self._tx = tx
        self.by_id: dict[str, ReportedReply] = {}
        reply_ids.discard("")
        if not reply_ids:
            return
        have_parts = []
        rows: list[Any] = tx.execute(REPLIES, {"channel": channel, "replies": sorted(reply_ids)})
        for row in rows:
            self.by_id[row.id] = read = ReportedReply(*row)
            read.state = ReplyState(read.state)
            if read.parts:
                have_parts.append(read.id)
        if have_parts:
            self._read_parts(have_parts)

    def _read_parts(self, reply_ids: list[str]) -> None:
        for row in self._tx.execute(_PARTS, {"replies": reply_ids}):
            read = self.by_id[row.reply_id]
            read.known_parts[row.part] = _part(self._tx, row)
            if row.sent_at and (read.sent_at is None or row.sent_at > read.sent_at):
                read.sent_at = row.sent_at

    @property
    def held(self) -> list[ReportedReply]:
        """Those that the reports hold."""
        return [each for each in self.by_id.values() if each.is_changed and each.state is ReplyState.HELD]

    def write(self) -> bool:
        """Store what has changed. Whether a stream may lease another reply now."""
        added, changed, renamed, moved = [], [], [], []
        frees = False
        for each in self.by_id.values():
            for part in each.known_parts.values():
                if not part.is_stored:
                    added.append(_columns(each.id, part))
                elif part.is_renamed:
                    renamed.append(_values(each.id, part) | {"sent_as": part.sent_as})
                elif part.is_changed:
                    changed.append(_values(each.id, part))
            if each.is_changed:
                moved.append(_settled(each))
                frees = frees or each.state is ReplyState.PENDING or (each.is_awaited and each.state in _FREES)
        for statement, rows in (
            (_ADD_PART, added),
            (_SET_PART, changed),
            (_SET_NAMED_PART, renamed),
            (_SET_REPLY, moved),
        ):
            if rows:
                self._tx.execute(statement, rows)
        return frees


def _part(tx: Tx, row: Row[Any]) -> ReportedPart:
    sent_as = row.channel_message_id
    in_clear = tx.digests.some_in_clear and message_ids.in_clear(sent_as)  # a row of an earlier release
    return ReportedPart(
        row.part,
        row.sent_at,
        tx.digests.message_id(sent_as) if in_clear else sent_as,
        PartState(row.receipt),
        row.error_code,
        is_stored=True,
        is_renamed=in_clear,
    )


def _columns(reply_id: str, part: ReportedPart) -> dict[str, Any]:
    return {
        "reply_id": reply_id,
        "part": part.number,
        "sent_at": part.sent_at,
        "channel_message_id": part.sent_as,
        "receipt": part.receipt.value,
        "error_code": part.error_code,
    }


def _values(reply_id: str, part: ReportedPart) -> dict[str, Any]:
    return {
        "of": reply_id,
        "number": part.number,
        "sent": part.sent_at,
        "said": part.receipt.value,
        "problem": part.error_code,
    }


def _settled(changed: ReportedReply) -> dict[str, Any]:
    return {
        "of": changed.seq,
        "to": changed.state.value,
        "settled": changed.settled_at,
        "until": changed.leased_until,
        "since": changed.doubtful_since,
        "attended": changed.doubt_attended,
        "later": changed.not_before,
        "repeated": changed.repeats,
        "into": changed.parts,
        "version": changed.split_version,
        "problem": changed.error_code,
    }
