"""Triggers: accounts that are watched for events. Each event goes to the project's webhook."""

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from emulators.composio.accounts import Account, timestamp
from emulators.composio.catalogue import Catalogue
from emulators.composio.errors import refused
from emulators.composio.ids import Ids
from emulators.composio.trigger_types import TriggerType


@dataclass(slots=True)
class Trigger:
    """An instance of a trigger type. `disabled_at`: the vendor has stopped to watch, because of an error."""

    id: str
    type: TriggerType
    account: Account
    config: dict[str, Any]
    updated_at: float
    disabled_at: float | None = None

    @property
    def uuid(self) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_OID, self.id))


class Triggers:
    """The triggers of the project. They outlive their accounts, until a caller deletes them."""

    def __init__(self, ids: Ids, catalogue: Catalogue, clock: Callable[[], float]) -> None:
        self._ids = ids
        self._catalogue = catalogue
        self._clock = clock
        self._triggers: dict[str, Trigger] = {}
        self.deleted: dict[str, Trigger] = {}
        """Deleted ones by id: events may still be on their way."""

    def type_of(self, slug: str) -> TriggerType:
        """Slugs are read in capitals. Raises RefusedError."""
        found = self._catalogue.triggers.get(slug.upper())
        if found is None:
            raise refused(
                f"Trigger type {slug} not found", slug="TriggerType_TriggerTypeNotFound", code=2401, status=404
            )
        return found

    def upsert(self, slug: str, account: Account, config: dict[str, Any]) -> Trigger:
        """A new one, or the one with the same settings, which is enabled again. Raises RefusedError."""
        kind = self.type_of(slug)
        if account.toolkit != kind.toolkit:
            raise _bad(f"Connected account {account.id} belongs to {account.toolkit}, not to {kind.toolkit}")
        if account.status != "ACTIVE":
            raise _bad(f"Connected account {account.id} is not active (status: {account.status})")
        problems = [
            f"{'.'.join(map(str, error.path)) or 'trigger_config'}: {error.message}"
            for error in Draft202012Validator(kind.config_schema).iter_errors(config)
        ]
        if unknown := sorted(set(config) - set(kind.properties)):
            problems.append(f"trigger_config: unknown fields {', '.join(unknown)}")
        if problems:
            raise _bad("Invalid trigger config", problems)
        whole = {name: each["default"] for name, each in kind.properties.items() if "default" in each} | config
        found = next((each for each in self.of_account(account.id) if (each.type, each.config) == (kind, whole)), None)
        trigger = found or Trigger(self._ids.new("ti"), kind, account, whole, 0.0)
        trigger.updated_at, trigger.disabled_at = self._clock(), None
        self._triggers[trigger.id] = trigger
        return trigger

    def get(self, trigger_id: str) -> Trigger:
        """Raises RefusedError if it does not exist (any more)."""
        trigger = self._triggers.get(trigger_id)
        if trigger is None:
            raise refused(
                f"Trigger instance {trigger_id} not found",
                slug="TriggerInstance_TriggerInstanceNotFound",
                code=2501,
                status=404,
            )
        return trigger

    def delete(self, trigger_id: str) -> Trigger:
        trigger = self.get(trigger_id)
        self.deleted[trigger_id] = self._triggers.pop(trigger_id)
        return trigger

    def disable(self, trigger_id: str) -> Trigger:
        trigger = self.get(trigger_id)
        trigger.disabled_at = self._clock()
        return trigger

    def all(self) -> list[Trigger]:
        return list(self._triggers.values())

    def of_account(self, account_id: str) -> list[Trigger]:
        return [each for each in self._triggers.values() if each.account.id == account_id]

    def watching(self, slug: str, user_id: str, data: dict[str, Any]) -> list[Trigger]:
        """Those of a user's accounts for which this event fits."""
        return [
            each
            for each in self._triggers.values()
            if each.type.slug == slug
            and each.account.user_id == user_id
            and each.disabled_at is None
            and each.type.fits(each.config, data)
        ]


def _bad(message: str, errors: Iterable[str] = ()) -> Exception:
    return refused(message, slug="TriggerInstance_BadRequest", code=2500, errors=errors)


def described(trigger: Trigger) -> dict[str, Any]:
    """A trigger in the list of active ones. The deprecated fields are part of every item."""
    at = timestamp(trigger.updated_at)
    disabled = None if trigger.disabled_at is None else timestamp(trigger.disabled_at)
    account = str(uuid.uuid5(uuid.NAMESPACE_OID, trigger.account.id))
    return {
        "id": trigger.id,
        "uuid": trigger.uuid,
        "user_id": trigger.account.user_id,
        "connectedAccountId": trigger.account.id,
        "connected_account_id": trigger.account.id,
        "connected_account_uuid": account,
        "triggerName": trigger.type.slug,
        "trigger_name": trigger.type.slug,
        "triggerConfig": trigger.config,
        "trigger_config": trigger.config,
        "state": {},
        "trigger_data": None,
        "disabledAt": disabled,
        "disabled_at": disabled,
        "updatedAt": at,
        "updated_at": at,
        "version": "20261101_00",
        "egress_url": None,
        "deprecated": {"createdAt": at},
    }


def described_type(kind: TriggerType, toolkit: dict[str, str], version: str) -> dict[str, Any]:
    """A trigger type in every list of them."""
    return {
        "slug": kind.slug,
        "name": kind.name,
        "description": kind.description,
        "instructions": "",
        "type": kind.kind,
        "config": kind.config_schema,
        "payload": kind.payload,
        "toolkit": toolkit,
        "version": version,
        "requires_webhook_endpoint_setup": kind.needs_endpoint,
    }
