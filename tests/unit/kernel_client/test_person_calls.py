"""Calls about one person, without a service."""

from typing import Any

from kernel.v1 import connections_pb2

from kernel_client.person_calls import PersonCalls

PAGES = {"": ("asana", "2"), "2": ("gmail", "3"), "3": ("slack", "")}
"""The toolkit of each page, and the token of the next one, by the page's token."""


class Pages(PersonCalls):
    async def _call(self, name: str, request: Any, timeout: float) -> Any:
        toolkit, following = PAGES[request.page_token]
        connection = connections_pb2.Connection(toolkit=toolkit)
        return connections_pb2.ListConnectionsResponse(connections=[connection], next_page_token=following)


async def test_a_list_has_every_page() -> None:
    assert [each.toolkit for each in await Pages().connections("telegram:1")] == ["asana", "gmail", "slack"]
