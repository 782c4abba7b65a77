"""What the protos say of each ErrorReason is what the services do."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from kernel_service import errors
from tests.contract.wire.protos import error_reasons
from whatsapp_gateway.kernel.errors import FINAL_REASONS

SOURCES = Path(errors.__file__).parent
REASONS = error_reasons()
SHAPE = re.compile(r"(?P<status>[A-Z_]+) \[(?P<mark>retry|final)\]: ")


@pytest.mark.parametrize("reason", REASONS)
def test_each_reason_begins_with_its_status_and_whether_a_channel_tries_again(reason: str) -> None:
    match = SHAPE.match(REASONS[reason])
    assert match, REASONS[reason]
    assert match["status"] in grpc.StatusCode.__members__


def test_the_gateway_sets_aside_what_is_marked_final_and_nothing_else() -> None:
    assert {reason for reason, comment in REASONS.items() if "[final]:" in comment} == FINAL_REASONS


def test_each_reason_is_raised_with_its_status() -> None:
    raised = {(reason, status) for path in SOURCES.rglob("*.py") for reason, status in raised_in(path)}
    assert len(raised) > 10
    assert {(reason, status) for reason, status in raised if not stated(reason, status)} == set()


def errors_that_take_a_reason(error: type[errors.KernelError]) -> Iterator[type[errors.KernelError]]:
    if error.__init__ is errors.KernelError.__init__:
        yield error
    for each in error.__subclasses__():
        yield from errors_that_take_a_reason(each)


TAKES_REASON = {error.__name__: error for error in errors_that_take_a_reason(errors.KernelError)}


def stated(reason: str, status: str) -> bool:
    return REASONS.get(reason, "").startswith(f"{status} [")


def raised_in(path: Path) -> Iterator[tuple[str, str]]:
    """Reason and status of each error that a file makes with a reason as it stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Call(ast.Name(name), [ast.Constant(str() as reason), *_]) if name in TAKES_REASON:
                yield reason, TAKES_REASON[name].status
