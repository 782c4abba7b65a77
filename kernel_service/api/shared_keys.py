"""The check before a rotation of the sealing keys: each node must be able to open what it seals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel.v1 import admin_pb2

from kernel_service.errors import NodeUnavailable, SealingKeyUnknown

if TYPE_CHECKING:
    from kernel_service.api.peers import Peers
    from kernel_service.ports.keys import KeyStore


async def check_all_have_the_key(store: KeyStore, peers: Peers) -> None:
    """A node without this node's current key could read no data after a rotation.

    Raises `SealingKeyUnknown`, and `NodeUnavailable` for a node that does not report its keys.
    """
    keys, _ = await store.use()
    current = next(use.key_id for use in keys if use.current)
    for node_id, answer in (await peers.call_others("ListKeys", admin_pb2.ListKeysRequest())).items():
        if answer is None:
            raise NodeUnavailable(node_id)
        if current not in {key.key_id for key in answer.keys if key.configured}:
            raise SealingKeyUnknown(
                f"node {node_id} lacks the key '{current}': add it to that node's KERNEL_ENCRYPTION_KEYS first",
                key_id=current,
            )
