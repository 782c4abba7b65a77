"""The first tutorial, followed as a reader would, with the phones' routes instead of a browser."""

from pathlib import Path

from tests.connect_browser import a_browser
from tests.documents.checkout import Checkout
from tests.documents.page import Page
from tests.documents.shell import printed
from tests.documents.words import assert_shown
from tests.e2e.phones import Phones, phones

THREE_HOURS = 3 * 3600.0


class Reader:
    """Writes what the page says, and compares the answer with the page's."""

    def __init__(self, page: Page, people: Phones, ids: dict[str, str]) -> None:
        self._page = page
        self._people = people
        self._ids = ids

    async def asks(self, person: str) -> dict[str, object]:
        answer = await self._people.answer(self._ids[person], self._page.take("text").strip())
        assert_shown(self._page.take("text"), str(answer["text"]))
        return answer

    async def asks_while_away(self, person: str, service: str) -> None:
        """As `asks`, after a kill of the service. The page then says that each message was answered once."""
        answer, kill = await self._people.ask_while_away(self._ids[person], self._page.take("text").strip(), service)
        assert_shown(self._page.take("text"), answer)
        assert (kill["answers"], kill["twice"]) == (1, 0)

    async def sees(self, person: str) -> dict[str, object]:
        message = await self._people.next_message(self._ids[person])
        assert_shown(self._page.take("text"), str(message["text"]))
        return message


async def test_the_tutorial(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    url = checkout.here("http://127.0.0.1:8090")
    with Page("docs/tutorial/first-assistant.md") as page:
        async with checkout.serving(page.take("sh")) as ready, phones(url) as people:
            assert_shown(checkout.here(page.take("text")), ready)
            ids = {name: await people.add(name) for name in ("Alice", "Bob")}
            await meets_the_assistants(Reader(page, people, ids), people, ids["Alice"])
        for name, language in (("assistant.md", "text"), ("bakery.py", "python"), (".env", "ini")):
            (tmp_path / name).write_text(page.take(language))
        async with checkout.serving(page.take("sh")), phones(url) as people:
            assert {name: await people.add(name) for name in ids} == ids
            await tries_the_tool(Reader(page, people, ids), people, ids["Alice"])
            orders = printed(page.take("sh"), tmp_path)
            assert_shown(page.take("text"), orders)


async def meets_the_assistants(reader: Reader, people: Phones, alice: str) -> None:
    await reader.asks("Alice")
    await reader.asks("Bob")
    link = (await reader.asks("Alice"))["link"]
    assert isinstance(link, dict)
    assert link["label"] == "Connect Asana"
    async with a_browser() as browser:
        code = await browser.follow(link["url"])
    await people.write(alice, f"Connect {code}")
    await reader.sees("Alice")
    await reader.asks("Bob")
    await reader.asks("Alice")
    await people.let_pass(THREE_HOURS)
    await reader.sees("Alice")
    await reader.asks_while_away("Alice", "kernel_service")


async def tries_the_tool(reader: Reader, people: Phones, alice: str) -> None:
    await reader.asks("Alice")
    await reader.asks("Alice")
    question = await reader.asks("Alice")
    await people.tap(alice, str(question["id"]), "Approve")
    await reader.sees("Alice")
