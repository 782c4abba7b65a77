"""Several business numbers in one gateway: an answer is sent from the number to which the person wrote."""

from aiohttp.test_utils import TestServer

from emulators.app import Emulators
from emulators.config import Config
from emulators.faults import matching
from tests.integration.files import png
from tests.integration.gateway.conftest import settings
from tests.integration.gateway.fake_kernel import FakeKernel, Running
from tests.integration.gateway.payloads import NUMBER
from whatsapp_gateway.app import build_app
from whatsapp_gateway.outbound.file_sender import AT_ONCE

SECOND = "106540352242923"


async def test_stalled_uploads_of_one_number_leave_room_for_another(
    running_kernel: Running, kernel: FakeKernel
) -> None:
    config = Config(emulators_listen="127.0.0.1:0", whatsapp_phone_number_id=f"{NUMBER},{SECOND}")
    async with Emulators.start(config) as emulators:
        given = settings(
            running_kernel.address, f"{emulators.url}/graph", whatsapp_phone_number_id=f"{NUMBER},{SECOND}"
        )
        async with TestServer(await build_app(given)) as server:
            emulators.whatsapp.webhooks.url = str(server.make_url("/webhook"))
            hold = emulators.whatsapp.media.faults.hold(matching(path=f"/{NUMBER}/media"))
            picture = kernel.file(png(), "image/png")
            phones = [emulators.whatsapp.add_phone(f"Phone {each}") for each in range(AT_ONCE + 1)]
            for phone in phones[:-1]:
                await phone.send("hello", number=NUMBER)
                kernel.lease(
                    "stalls", user_id=f"whatsapp:{phone.user_id}", id=f"rp_{phone.name}", seconds=60, media=[picture]
                )
            await hold.reached.wait()
            await phones[-1].send("hello", number=SECOND)
            kernel.lease(
                "passes",
                user_id=f"whatsapp:{phones[-1].user_id}",
                id="rp_other",
                seconds=60,
                media=[picture],
                address=SECOND,
            )
            assert (await phones[-1].wait_for_message()).text == "passes"
            hold.release()
            assert [(await phone.wait_for_message()).text for phone in phones[:-1]] == ["stalls"] * AT_ONCE


async def test_each_number_is_pulled_for_and_answers_for_itself(running_kernel: Running, kernel: FakeKernel) -> None:
    config = Config(emulators_listen="127.0.0.1:0", whatsapp_phone_number_id=f"{NUMBER},{SECOND}")
    async with Emulators.start(config) as emulators:
        given = settings(
            running_kernel.address, f"{emulators.url}/graph", whatsapp_phone_number_id=f"{NUMBER},{SECOND}"
        )
        async with TestServer(await build_app(given)) as server:
            emulators.whatsapp.webhooks.url = str(server.make_url("/webhook"))
            alice = emulators.whatsapp.add_phone("Alice")
            await alice.send("to the first", number=NUMBER)
            await alice.send("to the second", number=SECOND)
            assert [(request.address, request.payload.text) for request in kernel.messages] == [
                (NUMBER, "to the first"),
                (SECOND, "to the second"),
            ]
            await kernel.until(lambda: bool(kernel.pulls))  # its stream may come after the first calls
            assert list(kernel.pulls[0].addresses) == [NUMBER, SECOND]
            for request in kernel.messages:
                kernel.show_typing(request.address, request.user_id, request.message_id)
            for number in (SECOND, NUMBER):
                kernel.lease(f"from {number}", user_id=f"whatsapp:{alice.user_id}", id=f"rp_{number}", address=number)
                answer = await alice.wait_for_message()
                assert (answer.text, answer.number) == (f"from {number}", number)
            await kernel.until(lambda: len(kernel.receipts) == 4)
            assert {receipt.outcome for receipt in kernel.receipts} >= {"delivered"}
            reads = emulators.effects.all("graph_read")
            assert {read.key for read in reads} == {message.id for message in alice.messages if message.mine}
