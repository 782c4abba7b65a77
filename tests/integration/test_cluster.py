"""Several kernel services share people: whatever happens to one of them, everybody is answered once and in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.crash.databases import postgres_server
from tests.integration.cluster import cluster

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.crash.databases import Postgres


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with postgres_server(durable=False) as running:
        yield running


async def test_another_node_continues(postgres: Postgres, tmp_path: Path) -> None:
    async with cluster(tmp_path, postgres, nodes=1, spare_nodes=1) as running:
        people = await running.people(3)
        await running.ask(people)
        await running.nodes[1].start()
        await running.kill(0)
        await running.nodes[1].ready()
        await running.ask(people)
        assert (await running.verdict(*people)).faults == []
        await postgres.stop()
        await postgres.start()
        await running.ask(people)
        assert (await running.verdict(*people)).faults == []
