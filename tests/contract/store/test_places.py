"""A sealed value opens where it was stored, and nowhere else: in no other row, column, table or person."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import LargeBinary, select, update

from kernel_service.errors import Unreadable
from kernel_service.ports.people import LinkOutcome
from kernel_service.storage.engine.engine import DataKey, unwrap_data_key, wrap_data_key
from kernel_service.storage.schema import schema
from kernel_service.storage.schema.columns import Digest, Sealed, Wrapped, row_key
from kernel_service.storage.sealing import earlier_seals
from kernel_service.storage.sealing.ciphers import Cipher, WrappedKey
from tests.contract.store.lives import SEALED, live, values
from tests.contract.store.owner import history, say
from tests.contract.store.people import strong

if TYPE_CHECKING:
    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.store import Store


def test_each_binary_column_is_sealed_wrapped_or_a_digest() -> None:
    kinds = (Sealed, Wrapped, Digest)
    binary = [
        column
        for table in schema.metadata.tables.values()
        for column in table.c
        if isinstance(column.type, LargeBinary)
    ]
    assert [str(column) for column in binary if not isinstance(column.type, kinds)] == []


async def test_a_value_opens_only_where_it_was_stored(store: Store) -> None:
    ann, bob = await live(store, "ann"), await live(store, "bob")

    def moved(tx: Tx) -> list[tuple[str, str]]:
        kept = list(values(tx))
        assert {value.column for value in kept} == set(SEALED), "each sealed column keeps something"
        for value in kept:
            tx.cipher_of(value.person_id).open(value.sealed, value.place)
        return [
            (str(one.place), str(other.place))
            for one, other in permutations(kept, 2)
            if any(_opens(tx, person_id, one.sealed, other.place) for person_id in (ann, bob))
        ]

    assert await store.engine.read(moved) == []


def _opens(tx: Tx, person_id: str, sealed: bytes, where: object) -> bool:
    try:
        tx.cipher_of(person_id).open(sealed, where)  # type: ignore[arg-type]
    except Unreadable:
        return False
    return True


async def test_unbound_values_do_not_open_for_a_bound_person(store: Store) -> None:
    ann = await live(store, "ann")

    def sealed_as_before(tx: Tx) -> list[str]:
        cipher, earlier = Cipher(_key(tx, ann)), earlier_seals.of_person(ann)
        return [
            str(value.place)
            for value in values(tx)
            if _opens(tx, ann, cipher.seal(b"words", earlier(value.place) or b""), value.place)
        ]

    assert await store.engine.read(sealed_as_before) == []


async def test_a_row_changed_to_unbound_has_no_valid_key(store: Store) -> None:
    """Without a master key, unbound values cannot be admitted again."""
    ann = await live(store, "ann")

    def unbind(tx: Tx) -> None:
        tx.execute(update(schema.person).values(bound=False))
        tx.keyring.clear()

    await store.engine.write(unbind)
    with pytest.raises(Unreadable) as refused:
        await store.engine.read(lambda tx: tx.cipher_of(ann))
    assert refused.value.reason == "SEALED_VALUE_DAMAGED"


async def test_a_persons_key_opens_for_no_other_person(store: Store) -> None:
    ann, bob = await live(store, "ann"), await live(store, "bob")

    def swap(tx: Tx) -> None:
        rows = {row.id: row for row in tx.execute(select(schema.person))}
        for one, other in ((ann, bob), (bob, ann)):
            tx.execute(update(schema.person).where(schema.person.c.id == one).values(data_key=rows[other].data_key))
            tx.keyring.clear()

    await store.engine.write(swap)
    for person_id in (ann, bob):
        with pytest.raises(Unreadable):
            await store.people.ids_in(person_id, "test")


async def test_swapped_ids_that_await_a_person_are_skipped(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    link = schema.identity_link
    for name in ("ann", "bob"):
        await store.merging.link(strong(f"{name} early"), strong(f"{name} late"), now=1.0)

    def swap(tx: Tx) -> None:
        rows = tx.execute(select(link)).all()
        for row, other in zip(rows, reversed(rows), strict=True):
            mine = link.c.previous_digest == row.previous_digest
            tx.execute(update(link).where(mine).values(awaiting=other.awaiting))

    await store.engine.write(swap)
    ann = await say(store, "m1", "test:ann")
    linked = await store.merging.link(strong("ann"), strong("ann early"), now=2.0)
    assert (linked.outcome, linked.then) == (LinkOutcome.LINKED, ())
    assert {one.user_id for one in await store.people.ids_in(ann, "test")} == {"test:ann", "test:ann early"}
    assert "skipped a damaged id that awaits its person" in caplog.text


async def test_swapped_items_are_removed_from_the_history(store: Store) -> None:
    ann = await live(store, "ann")
    before = await history(store, ann)

    def swap(tx: Tx) -> None:
        rows = tx.execute(select(schema.item).order_by(schema.item.c.seq).limit(2)).all()
        for row, other in zip(rows, reversed(rows), strict=True):
            tx.execute(update(schema.item).where(schema.item.c.seq == row.seq).values(data=other.data))

    await store.engine.write(swap)
    assert await history(store, ann) == before[3:]


async def test_unbound_values_are_read_until_they_are_bound(store: Store) -> None:
    ann = await live(store, "ann")
    before = await history(store, ann), await store.people.ids_in(ann, "test"), await store.connections.of_person(ann)
    await store.engine.write(lambda tx: unbind(tx, ann))
    assert (
        await history(store, ann),
        await store.people.ids_in(ann, "test"),
        await store.connections.of_person(ann),
    ) == before


def unbind(tx: Tx, person_id: str) -> None:
    """As an earlier release left them."""
    key = _key(tx, person_id)
    cipher, earlier = Cipher(key), earlier_seals.of_person(person_id)
    for value in values(tx):
        context, table = earlier(value.place), value.column.table
        if value.person_id == person_id and context is not None:
            plain = tx.cipher_of(person_id).open(value.sealed, value.place)
            of_row = [key == part for key, part in zip(row_key(table), value.place.row, strict=True)]
            tx.execute(update(table).where(*of_row).values({value.column.name: cipher.seal(plain, context)}))
    wrapped = wrap_data_key(tx.keyring.master_keys, person_id, key, bound=False)
    tx.execute(update(schema.person).where(schema.person.c.id == person_id).values(wrapped))
    tx.keyring.clear()


def _key(tx: Tx, person_id: str) -> bytes:
    row = tx.execute(select(schema.person).where(schema.person.c.id == person_id)).one()
    stored = DataKey(WrappedKey(row.key_id, row.data_key), row.bound)
    return unwrap_data_key(tx.keyring.master_keys, person_id, stored)
