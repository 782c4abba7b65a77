"""An operator exports everything that is stored of a person, from a running service."""

from __future__ import annotations

import asyncio
import json
import stat
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from kernel.v1 import admin_pb2, media_pb2, messages_pb2

from kernel_service.api import interceptors
from kernel_service.api.tokens import ADMIN
from kernel_service.ports.turns import HistoryItem
from kernel_service.storage.turns import items
from tests.integration.test_kernelctl import ctl
from tests.integration.world import ADMIN_TOKEN, TELEGRAM_TOKEN, bearer

if TYPE_CHECKING:
    from pathlib import Path

    from kernel_service.storage.engine.engine import Tx
    from tests.integration.world import World

PNG = b"\x89PNG\r\n\x1a\n" + bytes(200_000)


def records_in(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "person.jsonl").read_text().splitlines()]


def entries(folder: Path, pattern: str) -> list[Path]:
    return list(folder.glob(pattern))


async def send_picture(world: World, user_id: str) -> None:
    image = media_pb2.Media(mime_type="image/png", data=PNG, filename="../../etc/passwd")
    request = messages_pb2.HandleMessageRequest(
        user_id=user_id, message_id="picture", payload=messages_pb2.Payload(image=image, caption="Look")
    )
    await world.stub.HandleMessage(request, metadata=bearer(TELEGRAM_TOKEN), timeout=30)


async def test_a_folder_has_all_of_a_person_and_nothing_of_another(world: World, tmp_path: Path) -> None:
    await world.tell("telegram:1", "the secret of somebody else", "m1")
    await world.tell("telegram:42", "remember that I like tea", "m1")
    await world.tell("telegram:42", "remind me in 3 hours to call Ada", "m2")
    await world.tell("telegram:42", "create a task: Prepare the demo", "m3")
    await send_picture(world, "telegram:42")
    folder = tmp_path / "out"
    done = await ctl(world, "export", "telegram:42", "--into", str(folder))
    assert done.exit_code == 0, done.stderr
    assert "tea" not in done.output
    records = records_in(folder)
    kinds = {next(iter(record)) for record in records}
    assert {"person", "alias", "message", "turn", "item", "reply", "fact", "schedule", "connection", "usage"} <= kinds
    said = [record["message"]["payload"].get("text") for record in records if "message" in record]
    assert said[:3] == [
        "remember that I like tea",
        "remind me in 3 hours to call Ada",
        "create a task: Prepare the demo",
    ]
    [file] = [record for record in records if "file" in record]
    assert file["file"]["filename"] == "../../etc/passwd"
    assert file["path"] == f"files/{file['file']['file_id']}.png"
    assert (folder / file["path"]).read_bytes() == PNG
    written = (folder / "person.jsonl").read_text()
    assert "somebody else" not in written
    assert "/connect/" not in written, "no link"
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.is_file()} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "files")} == {0o700}
    assert entries(tmp_path, "*partial*") == []
    again = await ctl(world, "export", "telegram:42", "--into", str(folder))
    assert (again.exit_code, again.stderr) == (2, f"kernelctl: {folder} cannot be written: Directory not empty\n")


async def test_a_person_who_does_not_exist_leaves_no_folder(world: World, tmp_path: Path) -> None:
    refused = await ctl(world, "export", "telegram:nobody", "--into", str(tmp_path / "out"))
    assert (refused.exit_code, refused.stderr) == (
        1,
        "kernelctl: NOT_FOUND: no person has written under this user id\n",
    )
    assert entries(tmp_path, "*out*") == []


async def test_a_resident_kernel_stays_as_it_is_and_an_absent_one_absent(world: World) -> None:
    await world.tell("telegram:42", "hello", "m1")
    for leave in (False, True):
        while leave and (await ctl(world, "evict", "telegram:42")).exit_code:  # busy: the turn is just ending
            pass
        before = json.loads((await ctl(world, "kernel", "telegram:42")).stdout)["kernel"]
        assert [each async for each in export(world, "telegram:42")]
        after = json.loads((await ctl(world, "kernel", "telegram:42")).stdout)["kernel"]
        assert [before.get(name) for name in ("epoch", "resident")] == [
            after.get(name) for name in ("epoch", "resident")
        ]
        assert bool(after.get("resident")) is not leave


def export(world: World, user_id: str) -> Any:
    request = admin_pb2.ExportPersonRequest(person=admin_pb2.PersonRef(user_id=user_id))
    return world.admin.ExportPerson(request, metadata=bearer(ADMIN_TOKEN))


async def test_a_channels_token_is_refused(world: World) -> None:
    request = admin_pb2.ExportPersonRequest(person=admin_pb2.PersonRef(user_id="telegram:42"))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await anext(aiter(world.admin.ExportPerson(request, metadata=bearer(TELEGRAM_TOKEN))))
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def read_out(call: Any) -> None:
    while True:
        await call.read()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that waits for a reader for a moment only."""
    monkeypatch.setattr(interceptors, "WRITE_SECONDS", 0.2)


async def test_a_reader_who_stops_reading_ends_the_call(impatient: None, world: World) -> None:
    await world.tell("telegram:42", "hello", "m1")
    person_id = (await world.kernel.store.people.last_person_of("telegram:42")) or ""
    many = [HistoryItem("result", {"output": "x" * 100_000})] * 200

    def add(tx: Tx) -> None:
        items.add_items(tx, person_id, "t_0", many, 0.0, start=1000)

    await world.kernel.store.engine.write(add)
    call = export(world, "telegram:42")
    await call.read()
    async with asyncio.timeout(10):
        while f'kernel_open_calls{{channel="{ADMIN}",kind="call"}} 1' in await world.metrics():
            await asyncio.sleep(0.01)
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await read_out(call)
    assert ended.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
