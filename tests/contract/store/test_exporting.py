"""The export of a person has everything that is stored of them, once, and nothing of anyone else."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select, update

from kernel_service.errors import Aborted, NotFound
from kernel_service.people.exporting import PersonExport
from kernel_service.ports import exporting
from kernel_service.ports.admin import TurnSummary
from kernel_service.ports.turns import HistoryItem
from kernel_service.storage.exporting.source import ROWS
from kernel_service.storage.exporting.tables import FIRST, LEFT_OUT, SOURCES
from kernel_service.storage.schema import schema
from tests.contract.store.lives import SEALED, live
from tests.contract.store.owner import NOW, own, say
from tests.contract.store.people import person, strong, weak
from tests.contract.store.test_made_files import end, make
from tests.contract.store.test_merging import fill

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from sqlalchemy import Column

    from kernel_service.ports.exporting import Exported
    from kernel_service.storage.store import Store

TABLES = {
    schema.alias: exporting.ExportedAlias,
    schema.message: exporting.ExportedMessage,
    schema.turn: TurnSummary,
    schema.item: exporting.ExportedItem,
    schema.reply: exporting.ExportedReply,
    schema.dead_letter: exporting.ExportedDeadLetter,
    schema.fact: exporting.ExportedFact,
    schema.schedule: exporting.ExportedSchedule,
    schema.connection: exporting.ExportedConnection,
    schema.trigger: exporting.ExportedTrigger,
    schema.trigger_event: exporting.ExportedTriggerEvent,
    schema.parked_request: exporting.ExportedParkedRequest,
    schema.approval: exporting.ExportedApproval,
    schema.standing_permission: exporting.ExportedPermission,
    schema.invitation: exporting.ExportedInvitation,
    schema.usage: exporting.ExportedUsage,
    schema.tool_usage: exporting.ExportedToolUsage,
    schema.media: exporting.ExportedFile,
}
NEVER_EXPORTED = (schema.connect_attempt.c.secrets, schema.packed_history.c.data)
EXPORTED = [column for column in SEALED if column not in set(NEVER_EXPORTED)]


def export(store: Store, person_id: str) -> AsyncGenerator[Exported]:
    return PersonExport(store.exports).of(person_id)


async def exported(store: Store, person_id: str) -> list[Exported]:
    return [each async for each in export(store, person_id)]


def kinds(records: list[Exported]) -> Counter[type[Any]]:
    return Counter(type(each.record) for each in records)


async def rows(store: Store, table: Any, *, of: str | None = None, has: Any = None) -> int:
    counted = select(func.count()).select_from(table)
    counted = counted if of is None else counted.where(table.c.person_id == of)
    counted = counted.where(has.is_not(None), has != b"") if has is not None and has.table is table else counted
    return await store.engine.read(lambda tx: int(tx.execute(counted).scalar_one()))


def test_every_table_is_exported_or_left_out_for_a_reason() -> None:
    read = {table for source in SOURCES for table in (source.table, *source.also)} | set(FIRST)
    assert read & LEFT_OUT.keys() == set()
    assert read | LEFT_OUT.keys() == set(schema.metadata.tables.values()), "decide: storage/exporting/tables.py"
    assert all(LEFT_OUT.values())


async def test_each_row_of_the_person_is_a_record_and_none_of_another_one_is(store: Store) -> None:
    anna, other = await person(store, strong("anna")), await person(store, strong("other"), weak("+2"))
    await fill(store, anna, other)
    hers, theirs = kinds(await exported(store, anna)), kinds(await exported(store, other))
    for table, kind in TABLES.items():
        assert hers[kind] + theirs[kind] == await rows(store, table), table.name
        assert hers[kind] == await rows(store, table, of=anna), table.name


async def test_of_a_merged_person_everything_is_in_the_export_of_the_other(store: Store) -> None:
    anna, other = await person(store, strong("anna")), await person(store, strong("other"), now=NOW + 1)
    await live(store, "other")
    await fill(store, anna, other)
    await store.merging.merge(other, anna, now=NOW + 2)
    records = await exported(store, other)
    [first, *_] = records
    assert isinstance(first.record, exporting.ExportedPerson)
    assert (first.record.id, first.record.merged) == (anna, (other,))
    counted = kinds(records)
    for table, kind in TABLES.items():
        assert counted[kind] == await rows(store, table) > 0, table.name
    assert all(not each.unreadable for each in records)


@pytest.mark.parametrize("column", EXPORTED, ids=str)
async def test_a_damaged_value_is_named_and_the_rest_follows(store: Store, column: Column[Any]) -> None:
    ann = await live(store, "ann")
    whole = await exported(store, ann)
    spoil = update(column.table).where(column.is_not(None), column != b"").values({column.name: b"damaged"})
    await store.engine.write(lambda tx: tx.execute(spoil))
    partial = await exported(store, ann)
    named = [each for each in partial if each.unreadable]
    values = await rows(store, schema.media if column is schema.media_chunk.c.data else column.table, has=column)
    assert len(named) == values > 0
    assert {each.unreadable for each in named} == {named[0].unreadable}, "and nothing else"
    assert kinds(partial) - kinds(whole) == Counter()
    chunks = Counter({exporting.FileChunk: await rows(store, schema.media_chunk)})
    assert kinds(whole) - kinds(partial) - chunks == Counter()


async def test_pages_show_each_item_once_in_order_also_from_before_a_reset(store: Store) -> None:
    owner = await own(store, await say(store, "m"))
    count = 2 * ROWS + 3
    await owner.end(await owner.open(), *(HistoryItem("input", {"said": str(number)}) for number in range(count)))
    await store.context.reset(owner.person_id)
    records = [each.record for each in await exported(store, owner.person_id)]
    items = [record for record in records if isinstance(record, exporting.ExportedItem)]
    assert [item.data for item in items] == [f'{{"said":"{number}"}}' for number in range(count)]
    assert isinstance(records[0], exporting.ExportedPerson)
    assert records[0].context_start > items[-1].seq


async def test_sealed_reasoning_and_the_address_of_a_link_are_left_out(store: Store) -> None:
    owner = await own(store, await say(store, "m"))
    thought = HistoryItem("reasoning", {"id": "rs_1", "summary": [], "encrypted_content": "gAAAA"})
    link = HistoryItem("link", {"url": "https://connect.example.org/secret", "title": "Connect", "expires_at": NOW})
    await owner.end(await owner.open(), thought, link)
    records = [each.record for each in await exported(store, owner.person_id)]
    items = [record.data for record in records if isinstance(record, exporting.ExportedItem)]
    assert items == ['{"id":"rs_1","summary":[]}', f'{{"title":"Connect","expires_at":{NOW}}}']


async def test_the_bytes_of_a_file_follow_it(store: Store) -> None:
    ann = await live(store, "ann")
    files: list[list[Any]] = []
    async for each in export(store, ann):
        match each.record:
            case exporting.ExportedFile():
                files.append([each.record, b""])
            case exporting.FileChunk(data):
                files[-1][1] += data
    assert len(files) == await rows(store, schema.media) > 1
    assert {(file.size, len(data), data[:4]) for file, data in files} == {(300_008, 300_008, b"\x89PNG")}


async def test_a_file_of_a_tool_has_the_name_that_its_reply_gives_it(store: Store) -> None:
    owner = await own(store, await say(store, "m"))
    turn = await owner.open()
    made = await make(store, turn)
    await end(owner, turn, made)
    records = [each.record for each in await exported(store, owner.person_id)]
    [file] = [record for record in records if isinstance(record, exporting.ExportedFile)]
    assert (file.filename, file.mime_type, file.reply_id[:3]) == ("notes.txt", "text/plain", "rp_")


async def test_a_merge_ends_the_export_of_either_person(store: Store) -> None:
    anna, other = await person(store, strong("anna")), await person(store, strong("other"), now=NOW + 1)
    begun = [export(store, each) for each in (anna, other)]
    for one in begun:
        await anext(one)
    await store.merging.merge(anna, other, now=NOW + 2)
    for one in begun:
        with pytest.raises(Aborted) as refused:
            await anext(one)
        assert refused.value.reason == "PERSON_CHANGED"


async def test_the_deletion_of_the_person_ends_the_export(store: Store) -> None:
    ann = await say(store, "m")
    begun = export(store, ann)
    await anext(begun)

    await store.deletion.begin(ann, now=NOW)
    with pytest.raises(NotFound):
        await anext(begun)
    with pytest.raises(NotFound):
        await anext(export(store, ann))


async def test_an_export_takes_no_lease(store: Store) -> None:
    owner = await own(store, await say(store, "m"))
    await exported(store, owner.person_id)
    lease = await store.kernels.lease(owner.person_id)
    assert (lease.owner, lease.epoch) == ("one", owner.epoch)
