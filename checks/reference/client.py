"""docs/reference/client.md: the Python client, from its signatures and docstrings."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from typing import TYPE_CHECKING, Final

import kernel_client
from checks.reference.markdown import page as written
from checks.reference.markdown import paragraphs
from kernel_client import Delivery, KernelClient, KernelError, MediaWanted
from kernel_client.person_calls import PersonCalls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CLASSES: Final = (KernelClient, Delivery, MediaWanted, KernelError)
HIDDEN: Final = frozenset({"__aenter__", "__aexit__", "lease", "lease_token", "lease_ends"})
"""Used by `async with`, and by the package itself."""
ITERATED: Final = re.compile(r"AsyncGenerator\[(.+)\]$")
_OUTSIDE: Final = re.compile(r"\b\w+_pb2\.|'")


def page() -> str:
    messages = ", ".join(f"`{name}`" for name in kernel_client.__all__ if not _is_own(name))
    parts = [
        "# Python client",
        "How to write a channel with it: [another channel](../how-to/another-channel.md).",
        f"Messages are those of the [contract](contract.md), with their types for mypy and editors: {messages}.",
    ]
    for each in CLASSES:
        parts.append(f"## {each.__name__}")
        if each is KernelClient:  # the others come from its methods
            parts.append(_called(each.__name__, _init(each)))
        parts.append(paragraphs(each.__doc__ or ""))
        if fields := list(_fields(each)):
            parts.append("\n".join(fields))
        for name, method in _methods(each):
            parts += [f"### {name}", _called(name, method), paragraphs(method.__doc__ or "")]
    return written("the docstrings of `kernel_client`", *parts)


def _is_own(name: str) -> bool:
    return str(getattr(kernel_client, name).__module__).startswith("kernel_client")


def _init(of: type) -> Callable[..., object]:
    init: Callable[..., object] = vars(of)["__init__"]
    return init


def _methods(of: type) -> Iterator[tuple[str, Callable[..., object]]]:
    """Public ones, in the order of the source."""
    for each in (of, *(base for base in of.__mro__ if base is PersonCalls)):
        for name, value in vars(each).items():
            if inspect.isfunction(value) and not name.startswith("_") and name not in HIDDEN:
                yield name, value


def _fields(of: type) -> Iterator[str]:
    """Attributes with the docstring below them, and properties."""
    for node in ast.walk(_source(_init(of))):
        if not isinstance(node, ast.FunctionDef):
            continue
        for field, told in zip(node.body, node.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(told, ast.Expr) and isinstance(told.value, ast.Constant):
                name = ast.unparse(field.target).removeprefix("self.")
                yield f"- `{name}: {_type(field.annotation)}`: {paragraphs(str(told.value.value))}"
    for name, value in vars(of).items():
        if isinstance(value, property) and not name.startswith("_") and value.fget is not None:
            yield f"- `{name}: {_type(_function(value.fget).returns)}`: {paragraphs(value.__doc__ or '')}"


def _called(name: str, method: Callable[..., object]) -> str:
    """The signature, as a call: with `await` or `async for`."""
    function = _function(method)
    returns = _type(function.returns) if function.returns else "None"
    parameters = ", ".join(_parameters(method, function))
    if (iterated := ITERATED.match(returns)) is not None:
        return f"`async for … in {name}({parameters})` gives `{iterated[1]}`"
    if isinstance(function, ast.AsyncFunctionDef):
        return f"`await {name}({parameters})`" + (f" returns `{returns}`" if returns != "None" else "")
    return f"`{name}({parameters})`"


def _parameters(method: Callable[..., object], function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    given = {each.arg: each.annotation for each in (*function.args.args, *function.args.kwonlyargs)}
    is_keyword = False
    for parameter in list(inspect.signature(method).parameters.values())[1:]:
        if parameter.kind is parameter.KEYWORD_ONLY and not is_keyword:
            is_keyword = True
            yield "*"
        default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}".replace("'", '"')
        yield f"{parameter.name}: {_type(given[parameter.name])}{default}"


def _type(annotation: ast.expr | None) -> str:
    return "" if annotation is None else _OUTSIDE.sub("", ast.unparse(annotation)).removesuffix(".ValueType")


def _function(method: Callable[..., object]) -> ast.FunctionDef | ast.AsyncFunctionDef:
    function = _source(method).body[0]
    assert isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)  # noqa: S101 - the source of a function
    return function


def _source(method: Callable[..., object]) -> ast.Module:
    return ast.parse(textwrap.dedent(inspect.getsource(method)))
