from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from kernel.v1 import admin_pb2

from kernel_service.api.shared_keys import check_all_have_the_key
from kernel_service.errors import NodeUnavailable, SealingKeyUnknown
from kernel_service.ports.keys import KeyUse


async def check(**answers: Any) -> None:
    """This node seals with `k2`; `answers` are those of the other nodes."""

    async def use() -> tuple[list[KeyUse], int]:
        uses = [KeyUse(key_id, key_id == "k2", True, 0, 0, 0) for key_id in ("k2", "k1")]
        return uses, 0

    async def call_others(rpc: str, _: Any) -> dict[str, Any]:
        assert rpc == "ListKeys"
        return answers

    store: Any = SimpleNamespace(use=use)
    peers: Any = SimpleNamespace(call_others=call_others)
    await check_all_have_the_key(store, peers)


def has(*key_ids: str, lacks: str = "") -> admin_pb2.ListKeysResponse:
    """`lacks`: a key that seals stored data, and that the node does not have."""
    keys = [admin_pb2.MasterKey(key_id=key_id, configured=True) for key_id in key_ids]
    return admin_pb2.ListKeysResponse(keys=[*keys, admin_pb2.MasterKey(key_id=lacks)] if lacks else keys)


async def test_one_node_may_rotate() -> None:
    await check()


async def test_nodes_that_have_the_key_may_seal_with_another() -> None:
    await check(n1=has("k2", "k1"), n2=has("k1", "k2"))


@pytest.mark.parametrize("answer", [has("k1"), has("k1", lacks="k2")])
async def test_a_node_that_lacks_the_key_is_named(answer: admin_pb2.ListKeysResponse) -> None:
    with pytest.raises(SealingKeyUnknown, match="node n2 lacks the key 'k2'"):
        await check(n1=has("k2", "k1"), n2=answer)


async def test_a_node_that_does_not_answer_may_lack_it() -> None:
    with pytest.raises(NodeUnavailable):
        await check(n1=None)
