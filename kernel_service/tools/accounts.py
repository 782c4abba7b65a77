"""The account that a tool uses: which of several is meant, by the names that the person gave, and whether it ended."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from kernel_service.errors import VendorUnavailable
from kernel_service.ports.tools import WHICH_ACCOUNT, UnclearCallError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kernel_service.connections.accounts import Connections
    from kernel_service.ports.connections import Connection
    from kernel_service.ports.model import ToolSchema


class AskWhichError(UnclearCallError):
    """It is not said which of several is meant, or one that is not there is. `names` are those that are."""

    def __init__(self, toolkit: str, names: Sequence[str]) -> None:
        super().__init__(
            f"The person's {toolkit} accounts are: {', '.join(names)}. Nothing was done. Ask which one is meant, "
            f"unless they have said so, and call again with it as {WHICH_ACCOUNT}."
        )


def named(accounts: Sequence[Connection]) -> dict[str, Connection]:
    """Each account by a unique name; one without a name is called by the day on which it was created."""
    names: dict[str, Connection] = {}
    for account in accounts:
        name = account.name or f"since {datetime.fromtimestamp(account.created_at, UTC):%Y-%m-%d}"
        while name in names:
            name += "*"
        names[name] = account
    return names


def choose(accounts: Sequence[Connection], arguments: Mapping[str, Any]) -> tuple[Connection, dict[str, Any]]:
    """The account that is meant, and the tool's own arguments. AskWhichError. There is at least one."""
    own = {name: value for name, value in arguments.items() if name != WHICH_ACCOUNT}
    names, wanted = named(accounts), str(arguments.get(WHICH_ACCOUNT) or "").strip().casefold()
    if len(accounts) == 1 and not wanted:
        return accounts[0], own
    for name, account in names.items():
        if name.casefold() == wanted:
            return account, own
    raise AskWhichError(accounts[0].toolkit, list(names))


def id_of_chosen(accounts: Sequence[Connection], arguments: Mapping[str, Any]) -> str:
    """Of the connection that is meant; empty: there is none. AskWhichError."""
    return choose(accounts, arguments)[0].id if accounts else ""


def with_names(schema: ToolSchema, accounts: Sequence[Connection]) -> ToolSchema:
    """The tool's schema, which asks for the account where there are several."""
    if len(accounts) < 2:  # noqa: PLR2004 - several
        return schema
    asked = {"type": "string", "enum": list(named(accounts)), "description": "Which of the person's accounts is meant."}
    properties = {**schema.parameters.get("properties", {}), WHICH_ACCOUNT: asked}
    return replace(schema, parameters={**schema.parameters, "properties": properties})


async def ended_by_vendor(connections: Connections, account: Connection) -> bool:
    """Whether a call failed because the vendor has ended the account, which it seldom reports by itself."""
    try:
        return await connections.has_ended(account)
    except VendorUnavailable:
        return False


def no_longer_connected(toolkit: str) -> str:
    """The sentence for the model then, so that the person gets a link."""
    return f"{toolkit} is no longer connected: its account has ended. Call connect with it."
