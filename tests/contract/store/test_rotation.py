"""Keys are rotated while the service runs: interrupted anywhere, run concurrently, with a key that is removed
afterwards.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, update

from kernel_service.cluster.key_rotation import KeyRotation
from kernel_service.errors import Unreadable
from kernel_service.ports.keys import KeyUse, Rotated
from kernel_service.storage.keys import binding, rotation, wraps
from kernel_service.storage.opening.open_store import open_store
from kernel_service.storage.schema import schema
from tests.contract.store.conftest import keys
from tests.contract.store.lives import live, values
from tests.contract.store.owner import history, say
from tests.contract.store.people import strong
from tests.contract.store.test_places import unbind
from tests.notice_air import NoticeAir

if TYPE_CHECKING:
    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.store import Store


async def rotate(store: Store) -> Rotated:
    done = Rotated()
    async for done in store.keys.rotate():  # noqa: B007 - the last one tells all
        pass
    return done


async def as_before(store: Store, *names: str) -> list[str]:
    """People whose values an earlier release has sealed."""
    people = [await live(store, name) for name in names]
    for person_id in people:
        await store.engine.write(lambda tx, who=person_id: unbind(tx, who))  # type: ignore[misc]
    return people


async def seen(store: Store, person_id: str) -> list[Any]:
    return [
        await history(store, person_id),
        await store.people.ids_in(person_id, "test"),
        await store.connections.of_person(person_id),
    ]


async def strictly(store: Store) -> None:
    """Every value opens as bound, and every key with the current master key."""

    def check(tx: Tx) -> None:
        tx.keyring.clear()
        for row in tx.execute(select(schema.person)):
            assert row.bound
        for value in values(tx):
            assert tx.cipher_of(value.person_id).rebound(value.sealed, value.place) is None

    await store.engine.read(check)


async def test_an_old_key_can_be_removed_after_a_rotation(database_url: str) -> None:
    store = await open_store(database_url, keys("test"))
    ann, bob = await as_before(store, "ann", "bob")
    await store.merging.link(strong("early"), strong("late"), now=1.0)
    before = [await seen(store, who) for who in (ann, bob)]
    await store.close()

    store = await open_store(database_url, keys("new", "test"))
    uses, unbound = await store.keys.use()
    assert [(use.key_id, use.current, use.people, use.secrets, use.awaiting, use.removable) for use in uses] == [
        ("new", True, 0, 0, 0, False),
        ("test", False, 2, 1, 1, False),
    ]
    assert unbound == 2
    cat = await say(store, "hello", "test:cat")
    done = await rotate(store)
    assert (done.people, done.unreadable, done.keys >= 3) == (2, 0, True)
    uses, unbound = await store.keys.use()
    assert ([use.removable for use in uses], uses[0].people, unbound) == ([False, True], 3, 0)
    assert await rotate(store) == Rotated(), "again is no harm"
    await store.close()

    store = await open_store(database_url, keys("new"))
    assert [await seen(store, who) for who in (ann, bob)] == before
    assert await say(store, "again", "test:cat") == cat, "digests are found as before"
    await strictly(store)
    await store.close()


async def test_a_required_key_that_is_missing_is_reported_at_start_by_its_id(database_url: str) -> None:
    store = await open_store(database_url, keys("test"))
    for name in ("ann", "bob"):
        await say(store, "hello", f"test:{name}")
    await store.close()
    store = await open_store(database_url, keys("new", "test"))
    async with aclosing(store.keys.rotate()) as rotating:  # only the digest key
        await anext(rotating)
    await store.close()
    with pytest.raises(
        Unreadable, match=r"lacks the key 'test', which 2 rows need \(2 of people, 0 .* `kernelctl rotate`"
    ) as refused:
        await open_store(database_url, keys("new"))
    assert (refused.value.reason, refused.value.metadata) == ("SEALING_KEY_UNKNOWN", {"key_id": "test"})


async def test_an_interrupted_rotation_resumes(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, most in (("ROWS", 3), ("PEOPLE", 1)):
        monkeypatch.setattr(binding, name, most)
    monkeypatch.setattr(wraps, "PAGE", 1)
    store = await open_store(database_url, keys("test"))
    people = await as_before(store, "ann", "bob")
    before = [await seen(store, who) for who in people]
    await store.close()
    steps = 1
    while True:  # each time it gets a few transactions further, and every value can be read
        store = await open_store(database_url, keys("new", "test"))
        async with aclosing(store.keys.rotate()) as rotating:
            ended = [None async for _ in _first(rotating, steps)] != [None] * steps
        assert [await seen(store, who) for who in people] == before
        if ended:
            break
        await store.close()
        steps *= 3
    await strictly(store)
    assert [use.removable for use in (await store.keys.use())[0]] == [False, True]
    await store.close()


async def _first(rotating: Any, steps: int) -> Any:
    for _ in range(steps):
        try:
            yield await anext(rotating)
        except StopAsyncIteration:
            return


async def test_two_concurrent_rotations_while_people_write(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binding, "ROWS", 3)
    store = await open_store(database_url, keys("test"))
    ann, bob = await as_before(store, "ann", "bob")
    before = [await seen(store, who) for who in (ann, bob)]
    await store.close()
    store = await open_store(database_url, keys("new", "test"))
    writing = (say(store, f"more {number}", f"test:{name}") for number in range(20) for name in ("ann", "bob", "new"))
    _, _, *wrote = await asyncio.gather(rotate(store), rotate(store), *writing)
    assert len(set(wrote)) == 3
    await strictly(store)
    assert [await seen(store, who) for who in (ann, bob)] == before
    await store.close()


async def test_merges_during_a_rotation_lose_nothing(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binding, "ROWS", 2)
    store = await open_store(database_url, keys("test"))
    ann, bob = await as_before(store, "ann", "bob")
    expected = len(await history(store, ann)) + len(await history(store, bob))
    _, merged = await asyncio.gather(rotate(store), store.merging.merge(ann, bob, now=1.0))
    assert len(await history(store, merged.person_id or "")) == expected
    await strictly(store)
    await store.close()


async def test_a_value_that_does_not_open_is_reported_and_unchanged(database_url: str) -> None:
    store = await open_store(database_url, keys("test"))
    ann, bob, cat = await as_before(store, "ann", "bob", "cat")
    item, person = schema.item, schema.person

    def damage(tx: Tx) -> None:
        tx.execute(update(item).where(item.c.person_id == ann, item.c.seq == 1).values(data=b"damaged"))
        tx.execute(update(person).where(person.c.id == bob).values(data_key=b"damaged"))
        tx.keyring.clear()

    await store.engine.write(damage)
    await store.close()
    store = await open_store(database_url, keys("new", "test"))
    done = await rotate(store)
    assert (done.people, done.unreadable) == (2, 3), "an item; a key, for which it was tried twice"
    uses, unbound = await store.keys.use()
    assert uses[1] == KeyUse("test", current=False, configured=True, people=1, secrets=0, awaiting=0)
    assert (uses[1].removable, unbound) == (False, 1)
    assert await history(store, cat)
    await store.close()


@pytest.mark.parametrize("is_lossy", [False, True], ids=["told", "looked"])
async def test_every_node_forgets_the_keys_that_it_has_opened(
    two_nodes: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch, *, is_lossy: bool
) -> None:
    monkeypatch.setattr(rotation, "STRICT_AFTER_SECONDS", 0.0)
    air = NoticeAir()
    one, _ = (KeyRotation(node.keys, air.board(name)) for node, name in zip(two_nodes, "ab", strict=True))
    ann = await say(two_nodes[1], "hello")
    await seen(two_nodes[1], ann)
    air.is_lossy = is_lossy
    assert [done async for done in one.rotate()]
    if is_lossy:
        air.interrupt()
    while two_nodes[1].engine.keyring.size:
        await asyncio.sleep(0)
