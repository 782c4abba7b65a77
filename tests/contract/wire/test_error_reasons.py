"""The comment of each ErrorReason in the protos matches the services' behaviour."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from kernel.v1 import errors_pb2

from kernel_service import errors
from tests.contract.wire.protos import error_reasons

SOURCES = Path(errors.__file__).parent
REASONS = error_reasons()
STATUS = re.compile(r"(?P<status>[A-Z_]+): ")
NEVER_RETRYABLE = {
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "FAILED_PRECONDITION",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
}
ALWAYS_RETRYABLE = {"UNAVAILABLE", "ABORTED", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"}


def status_of(reason: str) -> str:
    match = STATUS.match(REASONS.get(reason, ""))
    return match["status"] if match else ""


@pytest.mark.parametrize("reason", REASONS)
def test_each_comment_begins_with_the_status(reason: str) -> None:
    assert status_of(reason) in grpc.StatusCode.__members__, REASONS[reason]


@pytest.mark.parametrize("reason", REASONS)
def test_each_reasons_option_alone_says_whether_to_retry(reason: str) -> None:
    options = errors_pb2.ErrorReason.DESCRIPTOR.values_by_name[f"ERROR_REASON_{reason}"].GetOptions()
    assert options.HasExtension(errors_pb2.retryable)
    assert not re.search(r"\bretr(y|ie)|\bfinal\b|call again", REASONS[reason], re.IGNORECASE)
    if status_of(reason) in NEVER_RETRYABLE:
        assert not options.Extensions[errors_pb2.retryable]
    if status_of(reason) in ALWAYS_RETRYABLE:
        assert options.Extensions[errors_pb2.retryable]


def test_each_reason_is_raised_and_with_its_status() -> None:
    raised = {one for path in SOURCES.rglob("*.py") for one in raised_in(path)}
    assert {(reason, status) for reason, status in raised if status_of(reason) != status} == set()
    assert {reason for reason, _ in raised} == set(REASONS)


def errors_under(error: type[errors.KernelError]) -> Iterator[type[errors.KernelError]]:
    yield error
    for each in error.__subclasses__():
        yield from errors_under(each)


ERRORS = {error.__name__: error for error in errors_under(errors.KernelError)}


def raised_in(path: Path) -> Iterator[tuple[str, str]]:
    """Reason and status of each error that a file raises with a literal reason, or whose definition has one."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Call(ast.Name(name), [ast.Constant(str() as reason), *_]) if name in ERRORS:
                if ERRORS[name].__init__ is errors.KernelError.__init__:
                    yield reason, ERRORS[name].status
            case ast.ClassDef(name) if name in ERRORS:
                yield from ((reason, ERRORS[name].status) for reason in fixed_reasons(node))


def fixed_reasons(definition: ast.ClassDef) -> Iterator[str]:
    for node in ast.walk(definition):
        match node:
            case ast.Call(ast.Attribute(_, "__init__"), [ast.Constant(str() as reason), *_]) if reason.isupper():
                yield reason
