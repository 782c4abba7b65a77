"""Methods of a store as units of work: a decorator hands the method and its arguments to the engine.

A method is written as a plain function of a transaction, `def lease(self, tx, channel, ...)`, and called without it:
`await outbox.lease(channel, ...)`. It may run more than once (see `engine`), so it changes nothing but the database.
"""

from __future__ import annotations

import inspect
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from kernel_service.storage.engine.engine import Engine, Tx

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S", bound="SqlPort")


class SqlPort:
    """Fills one port; its methods are units of work on one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine


def reads(unit: Callable[Concatenate[S, Tx, P], T]) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """Run the method in a transaction that only reads."""

    async def run(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._engine.read(lambda tx: unit(self, tx, *args, **kwargs))

    return _named_as(unit, run)


def writes(
    *, in_order_of: str = ""
) -> Callable[[Callable[Concatenate[S, Tx, P], T]], Callable[Concatenate[S, P], Coroutine[Any, Any, T]]]:
    """Run the method in a transaction and return after COMMIT.

    `in_order_of` names an argument, or an attribute of one (`"turn.person_id"`): calls in which it is equal commit in
    the order in which they were made. Without it there is no order.
    """

    def decorate(unit: Callable[Concatenate[S, Tx, P], T]) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
        key_of = _argument(unit, in_order_of) if in_order_of else _no_key

        async def run(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
            return await self._engine.write(lambda tx: unit(self, tx, *args, **kwargs), key_of(args, kwargs))

        return _named_as(unit, run)

    return decorate


def writes_behind(
    *, in_order_of: str = ""
) -> Callable[[Callable[Concatenate[S, Tx, P], object]], Callable[Concatenate[S, P], None]]:
    """Queue the method as a unit and return at once: the caller does not await it, and receives neither result nor
    error.

    For a record that no guarantee depends on. While others write it costs no separate commit: see
    `Engine.write_behind`. `in_order_of` is as for `writes`, and keeps its order with the units of `writes`.
    """

    def decorate(unit: Callable[Concatenate[S, Tx, P], object]) -> Callable[Concatenate[S, P], None]:
        key_of = _argument(unit, in_order_of) if in_order_of else _no_key

        def run(self: S, /, *args: P.args, **kwargs: P.kwargs) -> None:
            self._engine.write_behind(lambda tx: unit(self, tx, *args, **kwargs), key_of(args, kwargs))

        return _named_as(unit, run)

    return decorate


def writes_apart(unit: Callable[Concatenate[S, Tx, P], T]) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """As `writes`, in a separate short transaction with low priority: for large values that are not urgent."""

    async def run(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._engine.write_apart(lambda tx: unit(self, tx, *args, **kwargs))

    return _named_as(unit, run)


def writes_alone(unit: Callable[Concatenate[S, Tx, P], T]) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """As `writes`, in a separate transaction that waits for no other unit of this process: for a heartbeat."""

    async def run(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._engine.write_alone(lambda tx: unit(self, tx, *args, **kwargs))

    return _named_as(unit, run)


def _argument(unit: Callable[..., Any], path: str) -> Callable[[tuple[Any, ...], dict[str, Any]], str]:
    """A function that takes the key from a call's arguments. Raises `ValueError` at import if there is no such
    argument.
    """
    name, _, attribute = path.partition(".")
    index = [*inspect.signature(unit).parameters].index(name) - 2  # skip `self` and `tx`

    def key_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        given = args[index] if index < len(args) else kwargs[name]
        return str(getattr(given, attribute) if attribute else given)

    return key_of


def _no_key(_args: tuple[Any, ...], _kwargs: dict[str, Any]) -> str:
    return ""


def _named_as(unit: Callable[..., Any], run: Callable[P, T]) -> Callable[P, T]:
    """`run` under the method's name, with its signature as callers see it."""
    update_wrapper(run, unit)
    signature = inspect.signature(unit)
    seen = [parameter for name, parameter in signature.parameters.items() if name != "tx"]
    run.__signature__ = signature.replace(parameters=seen)  # type: ignore[attr-defined]
    return run
