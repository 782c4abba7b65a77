"""What a webhook gives to hand over, sorted by person."""

from collections import defaultdict
from collections.abc import Sequence

from whatsapp_gateway.model.messages import IdentityChange, Message

InboundItem = Message | IdentityChange


def by_person(errands: Sequence[InboundItem]) -> list[list[InboundItem]]:
    """The inbound items of each person, in order of arrival. An old and a new id belong to one person."""
    first_id: dict[str, str] = {}
    """By an id: another one of the same person, nearer to the one that stands for them."""

    def of_person(user_id: str) -> str:
        while user_id in first_id:
            user_id = first_id[user_id]
        return user_id

    for errand in errands:
        if isinstance(errand, IdentityChange):
            one, other = of_person(errand.previous.user_id), of_person(errand.current.user_id)
            if one != other:
                first_id[other] = one
    queues: defaultdict[str, list[InboundItem]] = defaultdict(list)
    for errand in errands:
        queues[of_person(_key(errand))].append(errand)
    return list(queues.values())


def ids_of(errands: Sequence[InboundItem]) -> set[str]:
    """All ids that they name somebody by."""
    ids: set[str] = set()
    for errand in errands:
        if isinstance(errand, IdentityChange):
            ids.update((errand.previous.user_id, errand.current.user_id))
        else:
            ids.update(alias.user_id for alias in errand.sender.aliases)
            ids.add(errand.sender.user_id)
    return ids


def _key(errand: InboundItem) -> str:
    return errand.current.user_id if isinstance(errand, IdentityChange) else errand.sender.user_id
