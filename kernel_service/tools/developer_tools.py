"""A bot developer's own tools: typed Python functions, loaded by import path (`KERNEL_TOOLS`).

    @tool(read_only=True)
    def opening_hours(context: Person, day: Literal["monday", "sunday"]) -> str:
        '''Tell the model what this does and when to use it.'''

The first argument is whom the tool works for; the model gives the others. A plain function runs in a thread.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import logging
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NotRequired, Required, cast, get_type_hints

from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from kernel_service import tool_schemas
from kernel_service.ports.model import ToolSchema
from kernel_service.ports.tools import BUILT_IN, NeedsNoAccount, ToolResult, UnclearCallError
from kernel_service.storable import to_json
from kernel_service.tool_schemas import MOST_OFFERED_BYTES, size_of
from kernel_service.turns.context.taint import is_of_just_created

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.ports.tools import Person

log = logging.getLogger(__name__)

MOST_TOOLS = 80
"""A request to the model holds 128 in all: ours, those of connected toolkits and those that were searched for, too."""
MOST_BYTES = MOST_OFFERED_BYTES // 2
"""Of all of them as JSON: the rest is for those of people's toolkits."""
# Small letters only: the names of connected toolkits' tools are in capitals, so that the two never meet.
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


class ToolSettingError(ValueError):
    """KERNEL_TOOLS, or a tool that it names, is wrong. The message says what to do."""


class DeveloperTool(NeedsNoAccount):
    """A function as a tool. `timeout` is in seconds; a plain function's thread cannot be stopped and runs on."""

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        read_only: bool,
        asks_first: bool | None = None,
        trusted_output: bool = False,
        timeout: float,
    ) -> None:
        self._function = function
        self._arguments = _arguments(function)
        self._timeout = timeout
        name = _name(function)
        parameters = tool_schemas.parameters(self._arguments.json_schema(), name)
        self.schema = ToolSchema(name, _description(function), parameters)
        self.read_only = read_only
        self.asks_first = asks_first
        self._trusted_output = trusted_output
        self.timeout = timeout + 1  # the turn's limit; the tool's own comes first

    async def account_for(self, person: Person, arguments: dict[str, Any]) -> str:  # noqa: ARG002
        """No account. UnclearCallError: the arguments are wrong, so the person is not asked to approve them."""
        try:
            self._arguments.validate_python(arguments)
        except ValidationError as error:
            raise UnclearCallError(_in_words(error)) from None
        except Exception:  # noqa: BLE001 - a fault of a developer's validator, of which the call itself tells
            log.error("arguments could not be validated tool=%s", self.schema.name)  # noqa: TRY400
        return ""

    async def call(self, person: Person, arguments: dict[str, Any]) -> ToolResult:
        try:
            checked = self._arguments.validate_python(arguments)
        except ValidationError as error:
            return ToolResult(_in_words(error), ok=False, own=True)
        try:
            async with asyncio.timeout(self._timeout):
                result = _result(await self._run(person, checked))
            return replace(result, own=result.own or self._trusted_output or self._shows_new(arguments, result))
        except TimeoutError:
            return self._failed("The tool took too long.")
        except Exception as error:  # noqa: BLE001 - a developer's function may raise any error
            log.error("tool failed tool=%s error=%s at=%s", self.schema.name, type(error).__name__, _place(error))  # noqa: TRY400
            return self._failed("The tool failed.")

    def _shows_new(self, arguments: dict[str, Any], result: ToolResult) -> bool:
        """Whether the output shows only the object that this call has created."""
        as_vendors_name = f"own_{self.schema.name}"  # a vendor's begins with its toolkit
        return not self.read_only and is_of_just_created(as_vendors_name, arguments, result.output)

    async def _run(self, person: Person, arguments: dict[str, Any]) -> Any:
        if inspect.iscoroutinefunction(self._function):
            return await self._function(person, **arguments)
        return await asyncio.to_thread(self._function, person, **arguments)

    def _failed(self, what: str) -> ToolResult:
        doubt = "" if self.read_only else " Whether it did anything is unknown: look before you repeat it."
        return ToolResult(what + doubt, ok=False, own=True)


def tool(
    *,
    read_only: bool = False,
    asks_first: bool | None = None,
    trusted_output: bool = False,
    timeout: float = 30.0,
) -> Callable[[Callable[..., Any]], DeveloperTool]:
    """Make a function a tool. `read_only`: calling it twice does no harm, so that it is repeated after a crash.

    `asks_first`: each call waits until the person has approved it with a button. False: it need not, unless content
    from outside is among what the model sees. Not given: a tool that changes something asks if its name or its
    arguments say that it destroys, reaches others, gives them access or pays.
    `trusted_output`: whatever it returns is yours or the person's own, never words of others; else what it returns
    taints the turn, and writes and schedules ask. Not needed by one that creates and returns only numbers, ids, times
    and its own arguments.
    The function's name and docstring are what the model sees. It returns text, JSON values or a ToolResult. Raises
    ToolSettingError if it cannot be a tool.
    """
    return lambda function: DeveloperTool(
        function, read_only=read_only, asks_first=asks_first, trusted_output=trusted_output, timeout=timeout
    )


def load_tools(setting: str) -> list[DeveloperTool]:
    """The tools that `package.module:attribute` names; empty: none. Raises ToolSettingError."""
    if not setting:
        return []
    module_name, _, attribute = setting.partition(":")
    if not module_name or not attribute:
        raise ToolSettingError(f"give KERNEL_TOOLS as package.module:attribute, not {setting!r}")
    try:
        tools = getattr(importlib.import_module(module_name), attribute)
    except ImportError as error:
        raise ToolSettingError(f"KERNEL_TOOLS: cannot import {module_name}: {error}") from error
    except AttributeError:
        raise ToolSettingError(f"KERNEL_TOOLS: {module_name} has no attribute {attribute}") from None
    if not isinstance(tools, list | tuple) or not all(isinstance(each, DeveloperTool) for each in tools):
        raise ToolSettingError(f"KERNEL_TOOLS: {setting} must be a list of functions decorated with @tool(...)")
    if len(tools) > MOST_TOOLS:
        raise ToolSettingError(f"KERNEL_TOOLS: {setting} has {len(tools)} tools, and may have {MOST_TOOLS}")
    if (size := size_of(each.schema for each in tools)) > MOST_BYTES:
        kilobytes = f"{size // 1000} kB of names, docstrings and arguments, and may have {MOST_BYTES // 1000} kB"
        raise ToolSettingError(f"KERNEL_TOOLS: {setting} has {kilobytes}: shorten them, or take tools out")
    names = [each.schema.name for each in tools]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ToolSettingError(f"KERNEL_TOOLS: more than one tool is named {', '.join(sorted(twice))}")
    return list(tools)


# --- from a function to a schema --------------------------------------------------------------------------------


def _name(function: Callable[..., Any]) -> str:
    name = function.__name__
    if not _NAME.fullmatch(name) or name in BUILT_IN:
        rule = f"small letters, digits and _, at most 64, and not {' or '.join(sorted(BUILT_IN))}"
        raise ToolSettingError(f"a tool cannot be named {name}: use {rule}")
    return name


def _description(function: Callable[..., Any]) -> str:
    description = inspect.getdoc(function)
    if not description:
        raise ToolSettingError(f"{function.__name__} needs a docstring: it tells the model when to use the tool")
    if len(description) > tool_schemas.MOST_DESCRIPTION:
        most = tool_schemas.MOST_DESCRIPTION
        raise ToolSettingError(f"{function.__name__}: its docstring may have {most} characters, not {len(description)}")
    return tool_schemas.description(description)


_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def _arguments(function: Callable[..., Any]) -> TypeAdapter[dict[str, Any]]:
    """The model's arguments as a TypedDict, so that they may have any name; absent ones keep their default."""
    name = function.__name__
    try:
        hints = get_type_hints(function, include_extras=True)
    except NameError as error:
        raise ToolSettingError(f"{name}: import the types of its arguments outside TYPE_CHECKING: {error}") from None
    parameters = list(inspect.signature(function).parameters.values())
    if not parameters or parameters[0].kind not in _BY_POSITION:
        raise ToolSettingError(f"{name} needs a first argument: the person it works for")
    for parameter in parameters[1:]:
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise ToolSettingError(f"{name}: each argument needs a name, {parameter} has none")
        if parameter.name not in hints:
            raise ToolSettingError(f"{name}: argument {parameter.name} needs a type")
    fields = {parameter.name: _field(parameter, hints[parameter.name]) for parameter in parameters[1:]}
    shape = cast("Any", TypedDict)(name, fields)
    shape.__pydantic_config__ = ConfigDict(extra="forbid")
    try:
        adapter: TypeAdapter[dict[str, Any]] = TypeAdapter(shape)
        adapter.json_schema()
    except PydanticUserError as error:
        raise ToolSettingError(f"{name}: an argument's type has no JSON form: {error.message}") from None
    return adapter


def _field(parameter: inspect.Parameter, hint: Any) -> Any:
    return Required[hint] if parameter.default is parameter.empty else NotRequired[hint]


# --- from a return or an error to words --------------------------------------------------------------------------


def _result(value: Any) -> ToolResult:
    if isinstance(value, ToolResult) and isinstance(value.output, str):
        return value
    if isinstance(value, ToolResult):
        return replace(value, output=to_json(value.output).decode())
    return ToolResult(value if isinstance(value, str) else to_json(value).decode())


def _in_words(error: ValidationError) -> str:
    problems = [
        f"{'.'.join(map(str, problem['loc'])) or 'arguments'}: {problem['msg']}"
        for problem in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    return "The arguments are wrong. " + "; ".join(problems)


def _place(error: BaseException) -> str:
    """File and line of an error. Its text may hold what people say, so it is not logged."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "?"
