from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from kernelctl.kernelctl import main
from tests.integration.world import ADMIN_TOKEN
from tests.unit.kernelctl.certificates import Authority

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.world import World


async def ctl(world: World, *words: str, token: str = ADMIN_TOKEN) -> Result:
    options = ["--address", world.kernel_address, "--token", token]
    return await asyncio.to_thread(CliRunner().invoke, main, [*options, *words])


async def test_an_operator_follows_one_message(world: World) -> None:
    await world.tell("telegram:42", "a secret", "m1")
    listed = json.loads((await ctl(world, "kernels")).stdout)
    person = listed["kernels"][0]["person_id"]
    turns = json.loads((await ctl(world, "turns", "telegram:42")).stdout)
    assert [turn["message_ids"] for turn in turns["turns"]] == [["1"]]
    replies = await ctl(world, "replies", person)
    assert json.loads(replies.stdout)["replies"][0]["state"] == "REPLY_STATE_INLINE"
    assert "secret" not in replies.stdout
    while (await ctl(world, "evict", person)).exit_code:  # busy: the turn is just ending
        pass
    assert "resident" not in json.loads((await ctl(world, "kernel", person)).stdout)["kernel"]


async def test_that_a_list_is_empty_is_said_in_words_beside_the_json(world: World) -> None:
    await world.tell("telegram:42", "hello", "m1")
    for words, field, rows in (
        (["dead"], "dead_letters", "dead letters"),
        (["dead", "telegram:42"], "dead_letters", "dead letters"),
        (["schedules", "telegram:42"], "schedules", "schedules"),
    ):
        told = await ctl(world, *words)
        assert (told.exit_code, told.stderr) == (0, f"There are no {rows}.\n")
        assert json.loads(told.stdout) == {field: [], "next_page_token": ""}
    assert (await ctl(world, "replies", "telegram:42")).stderr == ""


async def test_refusals_are_reported_in_a_sentence(world: World) -> None:
    nobody = await ctl(world, "turns", "telegram:nobody")
    assert (nobody.exit_code, nobody.stderr) == (1, "kernelctl: NOT_FOUND: no person has written under this user id\n")
    stranger = await ctl(world, "kernels", token="somebody's")
    assert stranger.exit_code == 1
    assert stranger.stderr.startswith("kernelctl: UNAUTHENTICATED: ")


async def test_the_admin_token_is_not_sent_to_another_machine_in_plain_text() -> None:
    told = CliRunner().invoke(main, ["--address", "dns:///kernel.example:50051", "--token", "t", "kernels"])
    assert told.exit_code == 2
    assert "KERNEL_TLS_CA" in told.stderr
    assert "KERNEL_ALLOW_INSECURE=true" in told.stderr


async def test_a_service_that_speaks_tls_is_named(tmp_path: Path) -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=Authority(tmp_path).context())
    address = f"localhost:{server.sockets[0].getsockname()[1]}"
    told = await asyncio.to_thread(CliRunner().invoke, main, ["--address", address, "--token", "t", "kernels"])
    server.close()
    assert told.exit_code == 1
    assert "the kernel service speaks TLS, and KERNEL_TLS_CA is not set. Set KERNEL_TLS_CA to" in told.stderr


@pytest.mark.parametrize("size", ["-1", "0", "1001", "many"])
async def test_a_page_size_out_of_bounds_is_told_in_a_sentence(world: World, size: str) -> None:
    refused = await ctl(world, "kernels", "--page-size", size)
    assert refused.exit_code == 2
    assert "'--page-size'" in refused.stderr


async def test_pages_that_an_operator_turns_hold_every_row_once(world: World) -> None:
    for number in range(5):
        await world.tell("telegram:42", "hello", f"m{number}")
    seen, token = [], ""
    while True:
        page = json.loads((await ctl(world, "turns", "telegram:42", "--page-size", "2", "--page-token", token)).stdout)
        seen += [turn["id"] for turn in page["turns"]]
        if not (token := page.get("next_page_token", "")):
            break
    assert len(seen) == len(set(seen)) == 5
    other = await ctl(world, "replies", "telegram:42", "--page-token", "b3RoZXI")
    assert "`page_token` is not from this list" in other.stderr


async def test_the_nodes_are_shown_with_what_they_hold(world: World) -> None:
    await world.tell("telegram:42", "hello", "m1")
    header, node = (await ctl(world, "nodes")).stdout.splitlines()
    assert header.split()[:3] == ["node", "address", "state"]
    node_id = json.loads((await ctl(world, "kernels")).stdout)["kernels"][0]["node_id"]
    assert node.split()[:3] == [node_id, world.kernel_address, "leader"]
    assert node.endswith(" 1")
