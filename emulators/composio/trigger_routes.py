"""/triggers_types and /trigger_instances: what can be watched for, and what is."""

from typing import Any

from aiohttp import web

from emulators.composio import checks
from emulators.composio.accounts import Accounts
from emulators.composio.catalogue import LOGO, VERSION, Catalogue
from emulators.composio.errors import refused
from emulators.composio.paging import page
from emulators.composio.trigger_types import TriggerType
from emulators.composio.triggers import Triggers, described, described_type
from emulators.composio.wire import ActiveTriggersQuery, TriggerTypesQuery, UpsertTrigger
from emulators.effects import Effects
from emulators.faults import Call
from emulators.vendor import Vendor


class TriggerRoutes:
    """Effects: trigger_upserted, trigger_deleted, unfiltered_triggers for a list of all people's triggers."""

    def __init__(
        self, vendor: Vendor, triggers: Triggers, accounts: Accounts, catalogue: Catalogue, effects: Effects
    ) -> None:
        self._vendor = vendor
        self._triggers = triggers
        self._accounts = accounts
        self._catalogue = catalogue
        self._effects = effects

    def routes(self) -> list[tuple[str, str, Any]]:
        return [
            ("GET", "/triggers_types", self._types),
            ("GET", "/triggers_types/{slug}", self._type),
            ("GET", "/trigger_instances/active", self._active),
            ("POST", "/trigger_instances/{slug}/upsert", self._upsert),
            ("DELETE", "/trigger_instances/manage/{trigger_id}", self._delete),
        ]

    async def _types(self, request: web.Request, _: Call) -> web.Response:
        asked = checks.query(TriggerTypesQuery, request)
        kinds = [
            kind
            for kind in self._catalogue.triggers.values()
            if not asked.toolkit_slugs or kind.toolkit in asked.toolkit_slugs
        ]
        return self._vendor.respond(page(kinds, asked.cursor, asked.limit, self._described))

    async def _type(self, request: web.Request, _: Call) -> web.Response:
        return self._vendor.respond(self._described(self._triggers.type_of(request.match_info["slug"])))

    async def _active(self, request: web.Request, call: Call) -> web.Response:
        asked = checks.query(ActiveTriggersQuery, request)
        if not (asked.user_ids or asked.connected_account_ids or asked.trigger_ids):
            self._effects.record("unfiltered_triggers", key=call.path)
        names = [name.upper() for name in asked.trigger_names]
        found = [
            trigger
            for trigger in self._triggers.all()
            if (not asked.user_ids or trigger.account.user_id in asked.user_ids)
            and (not asked.connected_account_ids or trigger.account.id in asked.connected_account_ids)
            and (not asked.trigger_ids or trigger.id in asked.trigger_ids)
            and (not names or trigger.type.slug in names)
            and (asked.show_disabled or trigger.disabled_at is None)
        ]
        return self._vendor.respond(page(found, asked.cursor, asked.limit, described))

    async def _upsert(self, request: web.Request, call: Call) -> web.Response:
        asked = checks.body(UpsertTrigger, call.body)
        self._triggers.type_of(request.match_info["slug"])
        account = self._accounts.get(asked.connected_account_id)
        if asked.user_id is not None and asked.user_id != account.user_id:
            raise refused(
                "Connected account user ID does not match the provided user ID.",
                slug="ConnectedAccount_UserIdMismatch",
                code=612,
                status=403,
            )
        trigger = self._triggers.upsert(request.match_info["slug"], account, asked.trigger_config)
        self._effects.record("trigger_upserted", person=account.user_id, key=trigger.id, slug=trigger.type.slug)
        return self._vendor.respond({"trigger_id": trigger.id, "deprecated": {"uuid": trigger.uuid}})

    async def _delete(self, request: web.Request, _: Call) -> web.Response:
        trigger = self._triggers.delete(request.match_info["trigger_id"])
        self._effects.record("trigger_deleted", person=trigger.account.user_id, key=trigger.id)
        return self._vendor.respond({"trigger_id": trigger.id})

    def _described(self, kind: TriggerType) -> dict[str, Any]:
        toolkit = self._catalogue.toolkits[kind.toolkit]
        shown = {"slug": toolkit.slug, "name": toolkit.name, "logo": LOGO + toolkit.slug}
        return described_type(kind, shown, VERSION)
