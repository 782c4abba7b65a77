"""The items of a webhook that go to the kernel service, grouped by person."""

from collections import defaultdict
from collections.abc import Sequence

from whatsapp_gateway.model.updates import IdentityChange, Message

InboundItem = Message | IdentityChange


def by_person(items: Sequence[InboundItem]) -> list[list[InboundItem]]:
    """The inbound items of each person, in order of arrival. An old and a new id belong to one person."""
    first_id: dict[str, str] = {}
    """Maps an id to another one of the same person, in chains that end at the id that represents them."""

    def of_person(user_id: str) -> str:
        while user_id in first_id:
            user_id = first_id[user_id]
        return user_id

    for item in items:
        if isinstance(item, IdentityChange):
            one, other = of_person(item.previous.user_id), of_person(item.current.user_id)
            if one != other:
                first_id[other] = one
    queues: defaultdict[str, list[InboundItem]] = defaultdict(list)
    for item in items:
        queues[of_person(_key(item))].append(item)
    return list(queues.values())


def ids_of(items: Sequence[InboundItem]) -> set[str]:
    """Every id of a person in the items."""
    ids: set[str] = set()
    for item in items:
        if isinstance(item, IdentityChange):
            ids.update((item.previous.user_id, item.current.user_id))
        else:
            ids.add(item.sender.user_id)
            for alias in item.sender.aliases:
                ids.add(alias.user_id)
    return ids


def _key(item: InboundItem) -> str:
    return item.current.user_id if isinstance(item, IdentityChange) else item.sender.user_id
