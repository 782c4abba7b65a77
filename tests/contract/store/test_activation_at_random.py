"""Journals of any content are read into a kernel as a plain reading of their rows has it."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from sqlalchemy import insert, select, update

from kernel_service.errors import Unreadable
from kernel_service.kernels.ended_turns import EndedTurns
from kernel_service.kernels.history import WINDOW_BYTES
from kernel_service.kernels.kernel import Kernel
from kernel_service.ports.turns import COMPACTION, OUTSIDE, OWN, REASONING, HistoryItem
from kernel_service.storage.schema import schema
from kernel_service.storage.turns.items import item_place
from kernel_service.storage.turns.recent_items import PAGE
from tests.contract.store.owner import NOW, own, say
from tests.contract.store.test_places import unbind

if TYPE_CHECKING:
    from kernel_service.ports.kernels import Activation
    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.store import Store

MODEL = "openai:m"
COUNTS = (0, 1, 7, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE)
ODD = (b"damaged", b"", b"\0" * 40)
ODD_JSON = (b"{}", b"[]", b"{", b"null", b'"\xff"')


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("unbound", [False, True])
async def test_a_kernel_starts_with_what_a_plain_reading_finds(store: Store, seed: int, *, unbound: bool) -> None:
    random = Random(seed)
    owner = await own(store, await say(store, "m1"))
    open_turn = (await owner.open()).id if seed % 3 else ""
    person = owner.person_id
    damaged = random.choice([0.0, 0.0, 0.01, 0.2])
    size = random.choice([10, 10, WINDOW_BYTES // PAGE])
    await store.engine.write(lambda tx: _fill(tx, person, open_turn, Random(seed), random.choice(COUNTS), size=size))
    if unbound:
        await store.engine.write(lambda tx: unbind(tx, person))
    await store.engine.write(lambda tx: _damage(tx, person, Random(seed), damaged))
    items, open_items = await store.engine.read(lambda tx: _plainly(tx, person, open_turn))
    ended = len(items) - open_items
    expected = EndedTurns(MODEL).followed_by(items[:ended]), items[ended:]
    activation = await store.kernels.activate(person, owner="two", model=MODEL)
    assert _kernel(activation) == expected
    again = await store.kernels.activate(person, owner="three", model=MODEL)
    assert _kernel(again) == expected, "packed or not"
    assert (activation.context_tokens, again.epoch) == (5000, activation.epoch + 1)


def _kernel(activation: Activation) -> tuple[EndedTurns, list[HistoryItem]]:
    history = Kernel(activation, NOW).history
    return history.ended, history.open_items()


def _fill(tx: Tx, person: str, open_turn: str, random: Random, count: int, *, size: int) -> None:
    cipher = tx.cipher_of(person)
    turns = sorted(f"t_{random.randrange(count // 4 + 1):04}" for _ in range(count))
    if open_turn and count:
        last = random.randint(0, min(count, 9))
        turns[count - last :] = [open_turn] * last
    rows = []
    seq = 0
    for turn_id in turns:
        seq += random.choice([1, 1, 1, 50])
        one = _item(random, size)
        rows.append(
            {
                "person_id": person, "seq": seq, "turn_id": turn_id, "kind": one.kind, "origin": one.origin,
                "version": random.choice([1, 2]), "data": cipher.seal_json(one.data, item_place(person, seq)),
                "created_at": NOW, "superseded": random.random() < 0.1,
            }
        )  # fmt: skip
    if rows:
        tx.execute(insert(schema.item), rows)
    start = random.choice([0, 0, seq // 2, seq + 1])
    tx.execute(update(schema.kernel).values(context_start=start, context_tokens=5000))


def _item(random: Random, size: int) -> HistoryItem:
    call = f"c{random.randrange(9)}"
    data: dict[str, Any] = random.choice(
        [
            {"type": "message", "role": "user", "content": "ü\n" + "x" * size},
            {"id": "msg_1", "type": "message", "content": [{"id": 1, "text": "😀"}]},
            {"type": "function_call", "call_id": call, "id": "fc_1", "arguments": "{}"},
            {"type": "function_call_output", "call_id": call, "output": '{"id":1}'},
            {"id": "rs_1", "type": REASONING, "encrypted_content": "x" * size},
            {"call_id": None},
        ]
    )
    kinds = ["input", "output", "result", REASONING, REASONING, "link", "file", "approval"]
    kind = COMPACTION if random.random() < 0.01 else random.choice(kinds)
    return HistoryItem(kind, data, random.choice(["", OWN, OUTSIDE, MODEL, "openai:other", f"merged:{OWN}"]))


def _damage(tx: Tx, person: str, random: Random, part: float) -> None:
    cipher = tx.cipher_of(person)
    for seq in tx.execute(select(schema.item.c.seq).order_by(schema.item.c.seq)).scalars().all():
        if random.random() < part:
            value = random.choice([*ODD, *(cipher.seal(plain, item_place(person, seq)) for plain in ODD_JSON)])
            tx.execute(update(schema.item).where(schema.item.c.seq == seq).values(data=value))


def _plainly(tx: Tx, person: str, open_turn: str) -> tuple[list[HistoryItem], int]:
    """The items with all data that opens, shown or not, and how many are of the open turn.

    Each turn whose read part has a damaged item is left out, until no such turn is read.
    """
    start = tx.execute(select(schema.kernel.c.context_start)).scalar_one()
    rows = [
        row
        for row in tx.execute(select(schema.item).order_by(schema.item.c.seq.desc())).all()
        if row.seq >= start and not row.superseded
    ]
    while True:
        within = _within_window(rows, open_turn)
        hidden = _hidden(within, open_turn)
        read = [(row.turn_id, _without_data(row) if row in hidden else _read(tx, person, row)) for row in within]
        damaged = {turn_id for turn_id, one in read if one is None}
        if not damaged:
            whole = [_read(tx, person, row) or _without_data(row) for row in reversed(within)]
            return whole, sum(turn_id == open_turn for turn_id, _ in read)
        rows = [row for row in rows if row.turn_id not in damaged]


def _within_window(rows: list[Any], open_turn: str) -> list[Any]:
    """Whole pages, until they have enough bytes; nothing before the newest compaction of the ended turns."""
    begin = next((at for at, row in enumerate(rows) if _begins(row) and row.turn_id != open_turn), len(rows))
    rows = rows[: begin + 1]
    taken, size = 0, 0
    while taken < len(rows) and size <= WINDOW_BYTES:
        size += sum(len(row.data) for row in rows[taken : taken + PAGE] if not _is_unread(row, open_turn))
        taken += PAGE
    return rows[:taken]


def _begins(row: Any) -> bool:
    return bool(row.kind == COMPACTION and row.origin == MODEL)


def _is_unread(row: Any, open_turn: str) -> bool:
    return bool(row.kind == REASONING and row.turn_id != open_turn and row.origin != MODEL)


def _hidden(rows: list[Any], open_turn: str) -> list[Any]:
    """Reasoning of ended turns that no model is shown again. Newest first."""
    ended = [row for row in rows if row.turn_id != open_turn]
    hidden = []
    for place, row in enumerate(ended):
        later = next((one.kind for one in reversed(ended[:place]) if one.kind in {"input", "result"}), "")
        if row.kind == REASONING and (row.origin != MODEL or later != "result"):
            hidden.append(row)
    return hidden


def _without_data(row: Any) -> HistoryItem:
    return HistoryItem(row.kind, {}, row.origin)


def _read(tx: Tx, person: str, row: Any) -> HistoryItem | None:
    try:
        data = orjson.loads(tx.cipher_of(person).open(row.data, item_place(person, row.seq)))
    except (Unreadable, orjson.JSONDecodeError):
        return None
    return HistoryItem(row.kind, data, row.origin) if data and isinstance(data, dict) else None
