"""The calls that need the person's approval. Calls on an allow-list run without it, all others need it.

docs/explanation/consent-and-taint.md lists what runs, what needs approval, and what this policy does not detect.
"""

from __future__ import annotations

from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from kernel_service.approvals import words
from kernel_service.approvals.arguments import CannotJudgeError, arguments_in
from kernel_service.approvals.leaves import Rank, leaves_of
from kernel_service.approvals.roles import Role, role_of
from kernel_service.approvals.toolkits import ACCOUNTS, WORKSPACES
from kernel_service.approvals.words import among, words_of_tool
from kernel_service.ports.approvals import Reason
from kernel_service.ports.hints import Effect
from kernel_service.ports.tools import BUILT_IN, WHICH_ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kernel_service.ports.hints import Hints
    from kernel_service.ports.tools import Tool


class Approve(StrEnum):
    """The calls that need approval, from most to least trusting. Each mode includes the one before."""

    DESTRUCTIVE = "destructive"
    """Calls that may destroy, reach others, widen access or pay."""
    CAREFUL = "careful"
    """Calls that do more than read and are not plain writes in the person's own workspace."""
    WRITES = "writes"
    """Calls that do more than read."""
    ALL = "all"
    """Calls that change something, and calls that use one of the person's accounts."""


class ApprovalPolicy:
    """Patterns of names, in shell style: `ASANA_CREATE_*` asks, `!GMAIL_SEND_*` does not, whatever the mode says."""

    def __init__(self, patterns: Iterable[str] = (), mode: Approve = Approve.CAREFUL) -> None:
        patterns = list(patterns)
        self._named = [pattern for pattern in patterns if not pattern.startswith("!")]
        self._exempt = [pattern.removeprefix("!") for pattern in patterns if pattern.startswith("!")]
        self._mode = mode

    def __call__(self, tool: Tool, arguments: Mapping[str, Any], *, tainted: bool, unasked: bool = False) -> bool:
        """Whether the person is asked before this call. `tainted`: outside content is among what the model sees.

        `unasked`: no words of the person began the turn, but an event, or a button or a code after one. Its
        calls may follow the orders of the event's author, so no exemption holds.
        """
        name = tool.schema.name
        if not unasked and any(fnmatchcase(name, pattern) for pattern in self._exempt):
            return False
        if tool.asks_first or self._is_named(tool):
            return True
        if tool.read_only:
            return self._asks_to_read(tool, arguments, tainted=tainted)
        return self._asks_to_write(tool, arguments, tainted=tainted)

    def reason(self, tool: Tool, arguments: Mapping[str, Any], *, tainted: bool) -> Reason:
        """Why the person is asked before a call, if they are: of several reasons the most important one."""
        has_effect = not tool.read_only and reaches_others(tool, arguments, searches=False)
        if tainted:
            return Reason.EFFECT_OUTSIDE if has_effect else Reason.OUTSIDE
        if self._is_named(tool) or self._mode in (Approve.WRITES, Approve.ALL):
            return Reason.OPERATOR
        return Reason.EFFECT if has_effect else Reason.UNKNOWN

    def may_stand(self, tool: Tool, arguments: Mapping[str, Any]) -> bool:
        """Whether a standing permission may cover this call.

        It never covers a call that destroys, reaches others, shares or pays, or that names another party. It also never
        covers a tool that must ask, or a call for which the operator requires approval.
        """
        if self._mode in (Approve.WRITES, Approve.ALL) or self._is_named(tool):
            return False
        own = {each: value for each, value in arguments.items() if each != WHICH_ACCOUNT}
        if tool.asks_first or tool.read_only or reaches_others(tool, own, at_all=True):
            return False
        # Outside a workspace anyone may see the result: a video, a status, an order.
        hints = tool.hints
        if hints and hints.toolkit not in WORKSPACES and not _writes_plainly(tool.schema.name, hints, own):
            return False
        return all(leaf.rank >= Rank.SHORT for leaf in leaves_of(own))

    def _is_named(self, tool: Tool) -> bool:
        return any(fnmatchcase(tool.schema.name, pattern) for pattern in self._named)

    def _asks_to_read(self, tool: Tool, arguments: Mapping[str, Any], *, tainted: bool) -> bool:
        if tool.asks_first is False:
            return False
        if self._mode is Approve.ALL and tool.hints is not None:
            return True
        return tainted and reaches_the_web(tool, arguments)

    def _asks_to_write(self, tool: Tool, arguments: Mapping[str, Any], *, tainted: bool) -> bool:
        if tainted or self._mode in (Approve.WRITES, Approve.ALL):
            return True
        if tool.asks_first is False or (tool.hints and is_plain_write(tool.schema.name, tool.hints, arguments)):
            return False
        is_developers = tool.hints is None
        return (self._mode is Approve.CAREFUL and not is_developers) or reaches_others(tool, arguments)


def reaches_the_web(tool: Tool, arguments: Mapping[str, Any]) -> bool:
    """Whether a third party may see what this call says."""
    if tool.hints is not None and tool.hints.toolkit not in ACCOUNTS:
        return True
    if tool.hints is None and any(among(word, words.WEB) for word in words.words_of(tool.schema.name)):
        return True
    try:
        return any(argument.leads_to_the_web for argument in arguments_in(arguments))
    except CannotJudgeError:
        return True


def is_plain_write(name: str, hints: Hints, arguments: Mapping[str, Any]) -> bool:
    """Whether it adds or changes something of the person's own, and neither addresses anybody nor widens access."""
    return hints.toolkit in WORKSPACES and _writes_plainly(name, hints, arguments)


def _writes_plainly(name: str, hints: Hints, arguments: Mapping[str, Any]) -> bool:
    creates = hints.effect is Effect.CREATES
    if not (creates or hints.effect is Effect.UPDATES):
        return False
    said = [word for word in words_of_tool(name, hints.toolkit) if not word.isdigit()]
    if not any(among(word, words.VERBS) for word in said) or not all(among(word, words.PLAIN_TOOL) for word in said):
        return False
    if not creates and any(among(word, words.EXISTING_REACH) for word in said):
        return False
    try:
        given = arguments_in(arguments)
    except CannotJudgeError:
        return False
    # An empty value adds nothing to a new thing, but an existing thing may lose something by it.
    return all(
        (creates and argument.is_empty) or (argument.is_plainly_named and not argument.addresses_somebody)
        for argument in given
    )


def reaches_others(tool: Tool, arguments: Mapping[str, Any], *, at_all: bool = False, searches: bool = True) -> bool:
    """Whether it may destroy, reach others, widen access or pay, as far as hints, names and values show.

    `at_all`: an address in prose counts, and so does a change of what others may be notified of.
    `searches`: an address that is looked for, or of the sender, counts, and so does all that built-in tools are given.

    The lists of names are never complete: rely on is_plain_write().
    """
    if tool.hints is not None and tool.hints.effect not in (Effect.CREATES, Effect.UPDATES):
        return True
    said = words_of_tool(tool.schema.name, tool.hints.toolkit if tool.hints else "")
    if tool.schema.name in BUILT_IN and not searches:
        return any(among(word, words.REACHING) for word in said[:1])  # `create_trigger` triggers no one
    reaching = words.REACHING | words.EXISTING_REACH if at_all else words.REACHING
    if any(among(word, reaching) for word in said):
        return True
    try:
        return any(
            any(among(word, words.ADDRESSEES) for word in argument.words)
            or (argument.addresses_somebody and (at_all or not argument.is_prose))
            for argument in arguments_in(arguments)
            if not argument.is_empty and (searches or role_of(argument.names) not in (Role.SENDER, Role.SEARCH))
        )
    except CannotJudgeError:
        return True
