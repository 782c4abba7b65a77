"""/connected_accounts: list, read, delete, and complete_auth for projects with a verifier."""

from typing import Any

from aiohttp import web

from emulators.composio import checks
from emulators.composio.accounts import Account, Accounts, described
from emulators.composio.errors import refused
from emulators.composio.paging import page
from emulators.composio.wire import AccountsQuery, CompleteAuth, DeleteAccountQuery
from emulators.effects import Effects
from emulators.faults import Call
from emulators.vendor import Vendor


class AccountRoutes:
    """Effects: account_connected, account_deleted, and unfiltered_accounts for a list of all people's accounts."""

    def __init__(self, vendor: Vendor, accounts: Accounts, effects: Effects) -> None:
        self._vendor = vendor
        self._accounts = accounts
        self._effects = effects

    def routes(self) -> list[tuple[str, str, Any]]:
        return [
            ("GET", "/connected_accounts", self._list),
            ("POST", "/connected_accounts/complete_auth", self._complete),
            ("GET", "/connected_accounts/{account_id}", self._get),
            ("DELETE", "/connected_accounts/{account_id}", self._delete),
        ]

    async def _list(self, request: web.Request, call: Call) -> web.Response:
        asked = checks.query(AccountsQuery, request)
        if not asked.user_ids:
            self._effects.record("unfiltered_accounts", key=call.path)
        accounts = [account for account in self._accounts.all() if _wanted(account, asked)]
        accounts.sort(
            key=lambda account: (getattr(account, asked.order_by), account.id),
            reverse=asked.order_direction == "desc",
        )
        return self._vendor.respond(page(accounts, asked.cursor, asked.limit, described))

    async def _get(self, request: web.Request, _: Call) -> web.Response:
        return self._vendor.respond(described(self._accounts.read(request.match_info["account_id"])))

    async def _delete(self, request: web.Request, _: Call) -> web.Response:
        asked = checks.query(DeleteAccountQuery, request)
        account = self._accounts.get(request.match_info["account_id"])
        self._accounts.delete(account.id)
        self._effects.record("account_deleted", person=account.user_id, key=account.id)
        job = {"revoke_job_id": f"revoke_{account.id}"} if asked.revoke_on_delete else {}
        return self._vendor.respond({"success": True, **job})

    async def _complete(self, _: web.Request, call: Call) -> web.Response:
        """Only the user for whom the link was created may complete it, and a session_uri works once."""
        asked = checks.body(CompleteAuth, call.body)
        if asked.user_id in checks.RESERVED_USER_IDS:
            self._effects.record("reserved_user_id", person=asked.user_id, key=call.path)
        link = self._accounts.verified(asked.session_uri)
        if link is None:
            raise refused("Session not found or already used", slug="ConnectedAccount_BadRequest", code=600, status=404)
        account = self._accounts.get(link.account.id)
        if account.user_id != asked.user_id:
            raise refused(
                "Connected account user ID does not match the provided user ID.",
                slug="ConnectedAccount_UserIdMismatch",
                code=612,
                status=403,
            )
        link.session_uri = None
        self._accounts.activate(account.id)
        self._effects.record("account_connected", person=account.user_id, key=account.id, toolkit=account.toolkit)
        return self._vendor.respond({"connected_account_id": account.id, "toolkit_slug": account.toolkit})


def _wanted(account: Account, asked: AccountsQuery) -> bool:
    """An empty filter matches everything, as at the vendor. All accounts of the emulator are private."""
    filters = (
        (asked.user_ids, account.user_id),
        (asked.toolkit_slugs, account.toolkit),
        (asked.statuses, account.status),
        (asked.auth_config_ids, account.auth_config_id),
        (asked.connected_account_ids, account.id),
    )
    return asked.account_type != "SHARED" and all(not wanted or value in wanted for wanted, value in filters)
