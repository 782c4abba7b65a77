"""Actions on a phone other than writing: reactions, quotes, files from the page, another number."""

import aiohttp
import pytest

from emulators.app import Emulators
from emulators.whatsapp.app import WhatsApp
from tests.emulators.whatsapp.fakes import Gateway, Graph


async def test_a_reaction_is_added_and_removed(graph: Graph, gateway: Gateway, whatsapp: WhatsApp) -> None:
    alice = whatsapp.add_phone("Alice")
    await alice.send("hi")
    await graph.text("hello", recipient=alice.user_id)
    answer = await alice.wait_for_message()
    await alice.react_to(answer, "👍")
    assert answer.reacted == "👍"
    await alice.react_to(answer, "")
    reactions = [message["reaction"] for message in gateway.messages() if message["type"] == "reaction"]
    assert reactions == [{"message_id": answer.id, "emoji": "👍"}, {"message_id": answer.id}]
    assert [message.kind for message in alice.messages] == ["text", "text"]
    read = {"messaging_product": "whatsapp", "status": "read", "message_id": gateway.messages()[-1]["id"]}
    assert (await graph.post(read))[0] == 200


async def test_any_kind_is_sent_unchanged(gateway: Gateway, whatsapp: WhatsApp) -> None:
    await whatsapp.add_phone("Alice").send_as("location", {"latitude": 1, "longitude": 2})
    assert gateway.messages()[0]["location"] == {"latitude": 1, "longitude": 2}


async def test_the_page_quotes_reacts_and_sends_files(
    graph: Graph, gateway: Gateway, emulators: Emulators, whatsapp: WhatsApp
) -> None:
    alice = whatsapp.add_phone("Alice")
    first = await alice.send("hi")
    base = f"{emulators.url}/phones/{alice.user_id}"
    async with graph.session.post(f"{base}/messages", json={"text": "this", "message": first.id}) as response:
        assert response.status == 202
    async with graph.session.post(f"{base}/reactions", json={"message": first.id, "emoji": "😂"}) as response:
        assert response.status == 202
    page = {"X-Phones-Page": "1"}
    sends = [("image/png", "caption=Look&name=a.png"), ("audio/ogg", "voice=true"), ("application/pdf", "name=b.pdf")]
    for mime_type, query in sends:
        headers = page | {"Content-Type": mime_type}
        async with graph.session.post(f"{base}/files?{query}", data=b"bytes", headers=headers) as response:
            assert response.status == 202
    await gateway.wait_until(lambda: len(gateway.messages()) == 6)
    by_kind = {message["type"]: message for message in gateway.messages()}
    assert by_kind["text"]["context"]["id"] == first.id
    assert by_kind["reaction"]["reaction"]["emoji"] == "😂"
    assert by_kind["image"]["image"]["caption"] == "Look"
    assert by_kind["audio"]["audio"]["voice"] is True
    assert by_kind["document"]["document"]["filename"] == "b.pdf"


@pytest.mark.parametrize(
    ("headers", "data", "status"),
    [({}, b"x", 415), ({"X-Phones-Page": "1"}, b"", 413), ({"X-Phones-Page": "1"}, bytes(5 * 2**20 + 1), 413)],
)
async def test_files_from_the_page_are_checked(
    graph: Graph, whatsapp: WhatsApp, headers: dict[str, str], data: bytes, status: int
) -> None:
    alice = whatsapp.add_phone("Alice")
    url = f"{graph.base}/phones/{alice.user_id}/files"
    headers = headers | {"Content-Type": "image/png"}
    async with graph.session.post(url, data=data, headers=headers) as response:
        assert response.status == status
    assert alice.messages == []


async def test_a_new_number_gives_a_new_id_and_frees_the_old_one(
    graph: Graph, gateway: Gateway, whatsapp: WhatsApp
) -> None:
    alice = whatsapp.add_phone("Alice", bsuid="US.1", wa_id="15550101")
    await alice.send("hi")
    await whatsapp.change_number(alice, "15550102", "US.2")
    notice = gateway.messages()[-1]
    assert (notice["from"], notice["type"], "contacts" in gateway.posts[-1].values[0]) == ("15550101", "system", False)
    assert notice["system"] == {
        "type": "user_changed_number",
        "body": "User Alice changed from 15550101 to 15550102",
        "wa_id": "15550102",
        "user_id": "US.2",
        "previous_user_id": "US.1",
    }
    stranger = whatsapp.add_phone("Stranger", bsuid="US.3", wa_id="15550101")
    await stranger.send("who are you?")
    await graph.text("for Alice", recipient="US.2")
    await graph.text("for the stranger", to="15550101")
    assert [message.text for message in alice.received] == ["for Alice"]
    assert [message.text for message in stranger.received] == ["for the stranger"]
    with pytest.raises(ValueError, match="another phone"):
        await whatsapp.change_number(stranger, "15550102", "US.4")
    await whatsapp.change_number(alice, "15550105", "US.5", tell_previous=False)
    assert "previous_user_id" not in gateway.messages()[-1]["system"]


async def test_an_unknown_file_is_not_shown(emulators: Emulators) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{emulators.url}/phones/files/1") as response,
    ):
        assert response.status == 404
