"""Runs one tool for the person of a session, on one of their accounts."""

from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from emulators.composio.accounts import Account, Accounts
from emulators.composio.catalogue import Catalogue, Tool
from emulators.composio.errors import (
    accounts_of_others,
    no_active_connection,
    refused,
    tool_not_allowed,
    tool_not_found,
    toolkit_not_allowed,
)
from emulators.composio.ids import Ids
from emulators.composio.sessions import Session
from emulators.composio.workplace import NotDoneError, Workplaces
from emulators.effects import Effects


class Execution:
    """Records the effect tool_execution for each tool that ran: person is the Composio user id, key the slug."""

    def __init__(
        self, catalogue: Catalogue, accounts: Accounts, places: Workplaces, effects: Effects, ids: Ids
    ) -> None:
        self._catalogue = catalogue
        self._accounts = accounts
        self._places = places
        self._effects = effects
        self._ids = ids

    def run(self, session: Session, slug: str, arguments: dict[str, Any], account: str | None) -> dict[str, Any]:
        """The answer {data, error, log_id, result_type}. Raises RefusedError if the session does not allow the call.

        Wrong arguments and calls that the provider declines are not refusals: result_type is then failed.
        """
        tool = self._allowed(session, slug)
        used = self._account(session, tool, account)
        log_id = self._ids.new("log")
        problem = _problem(tool, arguments)
        if problem is not None:
            return answer(log_id, error=problem)
        try:
            data = tool.run(self._places.of(session.user_id), arguments)
        except NotDoneError as declined:
            return answer(log_id, error=str(declined))
        self._effects.record(
            "tool_execution",
            person=session.user_id,
            key=slug,
            session=session.id,
            account=used.id if used else None,
            arguments=arguments,
            read_only="readOnlyHint" in tool.tags,
            log_id=log_id,
        )
        return answer(log_id, data=data)

    def _allowed(self, session: Session, slug: str) -> Tool:
        tool = self._catalogue.tools.get(slug)
        if tool is None:
            raise tool_not_found(slug)
        if not session.allows_toolkit(tool.toolkit):
            raise toolkit_not_allowed(tool.toolkit)
        if not session.allows(tool):
            raise tool_not_allowed(slug)
        return tool

    def _account(self, session: Session, tool: Tool, named: str | None) -> Account | None:
        """The account to use: the named one (by id or alias), else the pinned one, else the newest active one."""
        if self._catalogue.toolkits[tool.toolkit].no_auth:
            return None
        own = self._accounts.of(session.user_id, tool.toolkit)
        if named is not None:
            own = [account for account in own if named in (account.id, account.alias)]
            if not own:
                raise accounts_of_others([named], session.user_id)
        elif pinned := session.pinned(tool.toolkit):
            own = [account for account in own if account.id in pinned]
        active = [account for account in own if account.status == "ACTIVE"]
        if not active:
            raise no_active_connection(tool.toolkit)
        if len(active) > 1 and session.selects_accounts:
            several = ", ".join(account.id for account in active)
            raise refused(
                f"Multiple accounts for toolkit '{tool.toolkit}', name one of: {several}",
                slug="ToolRouterV2_AccountSelectionRequired",
                code=4310,
            )
        return active[-1]


def answer(log_id: str, *, data: dict[str, Any] | None = None, error: str | None = None) -> dict[str, Any]:
    result = "failed" if error else "completed"
    return {"data": data or {}, "error": error, "log_id": log_id, "result_type": result}


def _problem(tool: Tool, arguments: dict[str, Any]) -> str | None:
    """The error in the arguments, in Composio's wording."""
    missing = [name for name in tool.required if name not in arguments]
    if missing:
        fields = ", ".join(f"'{name}'" for name in missing)
        return f"Invalid request data provided - Following fields are missing: {{{fields}}}"
    errors = Draft202012Validator(tool.input_schema).iter_errors(arguments)
    problems = [f"'{'.'.join(map(str, error.path))}': {error.message}" for error in errors]
    return f"Invalid request data provided - {'; '.join(problems)}" if problems else None
