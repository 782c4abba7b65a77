"""The ids of a person, and the facts that are remembered about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kernel_service.ports.exporting import ExportedAlias, ExportedFact, ExportedInvitation
from kernel_service.ports.memory import Fact, FactLabel
from kernel_service.ports.messages import Alias
from kernel_service.storage.exporting.source import each, source
from kernel_service.storage.schema.memory import fact
from kernel_service.storage.schema.outbox import invitation
from kernel_service.storage.schema.people import alias

if TYPE_CHECKING:
    from sqlalchemy import Row

    from kernel_service.storage.exporting.opening import Opening


def _alias(opening: Opening, row: Row[Any]) -> ExportedAlias:
    return ExportedAlias(
        Alias(opening.text(alias.c.value, "alias.user_id"), row.strong, row.scope),
        row.channel,
        row.created_at,
        row.linked_at,
        row.replaced_at,
        row.heard_at,
    )


def _fact(opening: Opening, row: Row[Any]) -> ExportedFact:
    kept = Fact(row.number, opening.text(fact.c.text, "fact.text"), FactLabel(row.label))
    return ExportedFact(kept, row.created_at)


def _invitation(_: Opening, row: Row[Any]) -> ExportedInvitation:
    return ExportedInvitation(row.channel, row.address, row.asked_at)


ALIASES: Final = source(alias, alias.c.channel, alias.c.scope, alias.c.digest, records=each(_alias))
FACTS: Final = source(fact, fact.c.number, records=each(_fact))
INVITATIONS: Final = source(invitation, invitation.c.channel, invitation.c.address, records=each(_invitation))
