from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from click.testing import CliRunner, Result

from kernel_service.kernelctl.kernelctl import main
from tests.integration.world import ADMIN_TOKEN

if TYPE_CHECKING:
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


async def test_refusals_are_told_in_a_sentence(world: World) -> None:
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
