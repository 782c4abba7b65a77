"""Identity changes: a channel reports that an id became another one. Each report is stored and applied once."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, insert, not_, select, update

from kernel_service.errors import Unreadable
from kernel_service.people.identity import key
from kernel_service.people.linking import claim, is_strong, may_precede_another, outcome_of_repeat, settled
from kernel_service.ports.messages import Alias
from kernel_service.ports.people import Linked, LinkOutcome
from kernel_service.storage.keys.shared_secrets import awaiting_place
from kernel_service.storage.merging import merging
from kernel_service.storage.outbox import replies
from kernel_service.storage.people.people import attach, find, move
from kernel_service.storage.schema.people import alias, identity_link
from kernel_service.storage.sealing.ciphers import WrappedKey

if TYPE_CHECKING:
    from sqlalchemy import Row

    from kernel_service.people.identity import FoundAlias
    from kernel_service.people.linking import Claim
    from kernel_service.ports.weak_ids import WeakIdExpiry
    from kernel_service.storage.engine.engine import Tx

log = logging.getLogger(__name__)

_of_previous = (
    identity_link.c.channel == bindparam("channel"),
    identity_link.c.previous_scope == bindparam("previous_scope"),
    identity_link.c.previous_digest == bindparam("previous_digest"),
)
_of_change = (
    *_of_previous,
    identity_link.c.current_scope == bindparam("current_scope"),
    identity_link.c.current_digest == bindparam("current_digest"),
)
_awaits = identity_link.c.awaiting.is_not(None)
_REPORTED = select(identity_link.c.outcome).where(*_of_change, not_(_awaits))
_AWAITS_NO_MORE = delete(identity_link).where(*_of_change, _awaits)
_TAKE_AWAITING = delete(identity_link).where(*_of_previous, _awaits).returning(identity_link)
_STORE = insert(identity_link)
_one = (
    alias.c.channel == bindparam("of_channel"),
    alias.c.scope == bindparam("of_scope"),
    alias.c.digest == bindparam("of_digest"),
)
_REPLACED = update(alias).where(*_one).values(replaced_at=bindparam("at"))
_IN_PLACE = update(alias).where(*_one).values(linked_at=bindparam("at"), replaced_at=None)


def follow(tx: Tx, previous: Alias, current: Alias, now: float, weak_ids: WeakIdExpiry) -> Linked:
    change = _change(tx, previous, current)
    reported = tx.execute(_REPORTED, change).scalar_one_or_none()
    if reported is not None:
        return Linked(LinkOutcome(reported), is_new=False)
    tx.execute(_AWAITS_NO_MORE, change)
    channel = previous.user_id.partition(":")[0]
    found = {key(one.alias): one for one in find(tx, channel, (previous, current), now, weak_ids)}
    before, after = found.get(key(previous)), found.get(key(current))
    done = _done(tx, current, claim(previous, current, previous_found=before, current_found=after), after, now)
    if settled(done.outcome) or not is_strong(previous, before):
        tx.execute(_REPLACED, _row(tx, previous) | {"at": now})
        tx.execute(_STORE, change | {"outcome": outcome_of_repeat(done.outcome).value, "told_at": now})
    elif may_precede_another(previous, current, previous_found=before, current_found=after):
        tx.execute(_STORE, change | {"outcome": done.outcome.value, "told_at": now} | _sealed(tx, current, change))
    if settled(done.outcome):
        tx.execute(_IN_PLACE, _row(tx, current) | {"at": now})
    return done


def take_awaiting(tx: Tx, previous: Alias) -> list[Alias]:
    """The ids that replaced an unknown id, from reports that arrived before the person was known; oldest first."""
    rows = tx.execute(_TAKE_AWAITING, _change(tx, previous, previous)).all()
    return [one for row in sorted(rows, key=lambda row: row.told_at) if (one := _opened(tx, row))]


def _sealed(tx: Tx, current: Alias, change: dict[str, Any]) -> dict[str, Any]:
    sealed = tx.keyring.master_keys.wrap(current.user_id.encode(), awaiting_place(change).context())
    return {"awaiting_key_id": sealed.key_id, "awaiting": sealed.wrapped}


def _opened(tx: Tx, row: Row[Any]) -> Alias | None:
    """None: the row is damaged. It is skipped, so that the change that led to it still succeeds."""
    sealed = WrappedKey(row.awaiting_key_id, row.awaiting)
    try:
        user_id = tx.keyring.master_keys.unwrap(sealed, awaiting_place(row._asdict()).context())
    except Unreadable:
        log.error("alert: skipped a damaged id that awaits its person")  # noqa: TRY400 - a traceback adds nothing
        return None
    return Alias(user_id.decode(), scope=row.current_scope)


def _done(tx: Tx, current: Alias, claimed: Claim, found: FoundAlias | None, now: float) -> Linked:
    if claimed.person_id is None:
        return Linked(LinkOutcome.UNKNOWN)
    if claimed.other_id is not None:
        return merging.meet(tx, claimed.person_id, claimed.other_id, now=now)
    return _give(tx, claimed.person_id, current, found, now)


def _give(tx: Tx, person_id: str, current: Alias, found: FoundAlias | None, now: float) -> Linked:
    """Assigns the new id to the person; no other person has a claim to it."""
    if found is None:
        attach(tx, person_id, (current,), now)
    elif found.person_id != person_id:
        move(tx, person_id, (replace(found.alias, strong=False),), now)
    replies.release_unaddressed(tx, person_id)
    return Linked(LinkOutcome.LINKED, person_id)


def _change(tx: Tx, previous: Alias, current: Alias) -> dict[str, Any]:
    return {
        "channel": previous.user_id.partition(":")[0],
        "previous_scope": previous.scope,
        "previous_digest": tx.digests.user(previous.user_id),
        "current_scope": current.scope,
        "current_digest": tx.digests.user(current.user_id),
    }


def _row(tx: Tx, one: Alias) -> dict[str, Any]:
    return {
        "of_channel": one.user_id.partition(":")[0],
        "of_scope": one.scope,
        "of_digest": tx.digests.user(one.user_id),
    }
