"""Recognises the command of a message on acceptance, with few queries and only for few messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, bindparam, exists, or_, select

from kernel_service.approvals.standing import meant
from kernel_service.connections.tokens import digest
from kernel_service.inbox.codes import codes_in, is_code_alone, is_written_as_shown
from kernel_service.inbox.commands import asked_again_for, command_of
from kernel_service.ports.commands import Command
from kernel_service.ports.connect_attempts import AWAITING_CODE, LIVE
from kernel_service.storage.approvals import standing_permissions
from kernel_service.storage.connections import wrong_codes
from kernel_service.storage.schema.connections import connect_attempt
from kernel_service.storage.schema.inbox import MESSAGE_OPEN, message

if TYPE_CHECKING:
    from kernel_service.ports.payloads import Payload
    from kernel_service.storage.engine.engine import Tx

_AWAITING = [state.value for state in AWAITING_CODE]
_LIVE = [state.value for state in LIVE]
_CONCERNED = select(connect_attempt.c.code_digest, connect_attempt.c.person_id, connect_attempt.c.state).where(
    or_(
        connect_attempt.c.code_digest.in_(bindparam("digests", expanding=True)),
        and_(connect_attempt.c.person_id == bindparam("person"), connect_attempt.c.state.in_(_AWAITING)),
    )
)
_UNDER_WAY = select(exists().where(message.c.person_id == bindparam("person"), MESSAGE_OPEN))


def recognise(tx: Tx, person_id: str, payload: Payload) -> tuple[Command, str]:
    """The command, and its code.

    In a sentence only a known code counts: one of the person's own, or another person's live code, which revokes that
    code's attempt. Any other code is an ordinary word. While the person has a code to send, every other code counts as
    a wrong one, in a sentence too. So sentences allow no more guesses than single codes. "Ask me again" takes effect
    here.
    """
    text = payload.text
    codes = codes_in(text)
    if not codes:
        return _phrased(tx, person_id, payload), ""
    concerned = tx.execute(_CONCERNED, {"digests": [digest(code) for code in codes], "person": person_id}).all()
    awaited = any(row.person_id == person_id and row.state in _AWAITING for row in concerned)
    own = {row.code_digest for row in concerned if row.person_id == person_id}
    others = {row.code_digest for row in concerned if row.person_id != person_id and row.state in _LIVE}
    known = [code for known in (own, others) for code in codes if digest(code) in known]
    alone = is_code_alone(text) and (awaited or is_written_as_shown(text))
    found = known[0] if known else codes[0] if alone else ""
    wrong = [code for code in codes if code != found and digest(code) not in own]
    if awaited and wrong:
        wrong_codes.count(tx, person_id, len(wrong))
    return (Command.CODE, found) if found else (_phrased(tx, person_id, payload), "")


def _phrased(tx: Tx, person_id: str, payload: Payload) -> Command:
    command = command_of(payload, under_way=lambda: bool(tx.execute(_UNDER_WAY, {"person": person_id}).scalar_one()))
    if command is Command.ASK_AGAIN:
        withdrawn = meant(standing_permissions.of_person(tx, person_id), asked_again_for(payload))
        standing_permissions.revoke(tx, person_id, withdrawn)  # at once, so that a running turn loses them too
        return command if withdrawn else Command.NONE
    return command
