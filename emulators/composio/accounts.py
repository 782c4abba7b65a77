"""Connected accounts and the links by which people connect them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from emulators.composio.errors import account_not_found, refused
from emulators.composio.ids import Ids

LINK_SECONDS = 600
_LATE = "Connection initiation did not complete within 10 minutes"


@dataclass(slots=True)
class Account:
    id: str
    user_id: str
    toolkit: str
    auth_config_id: str
    created_at: float
    updated_at: float
    status: str = "INITIATED"
    status_reason: str | None = None
    alias: str | None = None
    stale_reads: int = 0
    """The number of further reads that still show it as INITIATED, whatever its status."""


@dataclass(slots=True)
class Link:
    """Connects one account. It works once and for ten minutes. session_uri waits for complete_auth."""

    token: str
    account: Account
    callback_url: str | None
    expires_at: float
    used: bool = False
    session_uri: str | None = None


class Accounts:
    def __init__(self, ids: Ids, clock: Callable[[], float]) -> None:
        self._ids = ids
        self._clock = clock
        self._accounts: dict[str, Account] = {}
        self._links: dict[str, Link] = {}
        self._auth_configs: dict[str, str] = {}
        self.stale_reads = 0
        """The number of stale reads of an account after it turns ACTIVE."""

    def link(self, user_id: str, toolkit: str, alias: str | None, callback_url: str | None) -> Link:
        """Create an account that waits for its person, and return the link for them to open."""
        now = self._clock()
        if alias and any(account.alias == alias for account in self.of(user_id, toolkit)):
            raise refused(
                f"Alias '{alias}' is already in use", slug="ConnectedAccount_BadRequest", code=600, status=400
            )
        account = Account(self._ids.new("ca"), user_id, toolkit, self._auth_config(toolkit), now, now, alias=alias)
        link = Link(self._ids.new("lk"), account, callback_url, now + LINK_SECONDS)
        self._accounts[account.id] = account
        self._links[link.token] = link
        return link

    def opened(self, token: str) -> Link | None:
        """The link, if it can still be used."""
        link = self._links.get(token)
        usable = link is not None and not link.used and self._clock() < link.expires_at
        return link if usable and link is not None and link.account.id in self._accounts else None

    def verified(self, session_uri: str) -> Link | None:
        """The link whose person the verifier received with this session_uri."""
        return next((link for link in self._links.values() if link.session_uri == session_uri), None)

    def get(self, account_id: str) -> Account:
        """Raises RefusedError if it does not exist (any more)."""
        account = self._accounts.get(account_id)
        if account is None:
            raise account_not_found(account_id)
        return self._timed_out(account)

    def read(self, account_id: str) -> Account:
        """The account as the vendor's replicas show it: a read may be stale. Raises RefusedError, as get()."""
        account = self.get(account_id)
        if not account.stale_reads:
            return account
        account.stale_reads -= 1
        return replace(account, status="INITIATED", status_reason=None)

    def activate(self, account_id: str) -> None:
        self.set_status(account_id, "ACTIVE")
        self.get(account_id).stale_reads = self.stale_reads

    def all(self) -> Iterable[Account]:
        return map(self._timed_out, self._accounts.values())

    def of(self, user_id: str, toolkit: str | None = None) -> list[Account]:
        """Oldest first."""
        return [account for account in self.all() if account.user_id == user_id and toolkit in (None, account.toolkit)]

    def active(self, user_id: str, toolkit: str) -> list[Account]:
        return [account for account in self.of(user_id, toolkit) if account.status == "ACTIVE"]

    def set_status(self, account_id: str, status: str, reason: str | None = None) -> None:
        account = self.get(account_id)
        account.status, account.status_reason = status, reason
        account.updated_at = self._clock()

    def delete(self, account_id: str) -> None:
        self.get(account_id)
        del self._accounts[account_id]

    def _auth_config(self, toolkit: str) -> str:
        if toolkit not in self._auth_configs:
            self._auth_configs[toolkit] = self._ids.new("ac")
        return self._auth_configs[toolkit]

    def _timed_out(self, account: Account) -> Account:
        if account.status == "INITIATED" and self._clock() >= account.created_at + LINK_SECONDS:
            account.status, account.status_reason = "EXPIRED", _LATE
        return account


def timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def auth_config(account: Account) -> dict[str, Any]:
    return {"id": account.auth_config_id, "auth_scheme": "OAUTH2", "is_composio_managed": True}


def described(account: Account) -> dict[str, Any]:
    """An account as GET /connected_accounts shows it, with masked credentials (the vendor's default)."""
    return {
        "id": account.id,
        "user_id": account.user_id,
        "alias": account.alias,
        "status": account.status,
        "status_reason": account.status_reason,
        "is_disabled": account.status == "INACTIVE",
        "toolkit": {"slug": account.toolkit},
        "auth_config": {**auth_config(account), "is_disabled": False},
        "authScheme": "OAUTH2",
        "state": {"authScheme": "OAUTH2", "val": _state(account)},
        "data": {},
        "params": {},
        "test_request_endpoint": "",
        "created_at": timestamp(account.created_at),
        "updated_at": timestamp(account.updated_at),
    }


def _state(account: Account) -> dict[str, Any]:
    if account.status == "INITIATED":
        return {"status": "INITIATED", "redirectUrl": "https://redacted.example"}
    if account.status in ("ACTIVE", "INACTIVE"):
        return {"status": account.status, "access_token": "REDACTED"}
    return {"status": account.status}
