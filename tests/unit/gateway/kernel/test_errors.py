"""The table of refusals is what errors.proto says."""

import re
from pathlib import Path

from kernel.v1 import errors_pb2

from whatsapp_gateway.kernel.errors import FINAL_REASONS, KernelCallError

PROTO = Path(__file__).parents[4] / "protos/kernel/v1/errors.proto"


def test_each_reason_is_treated_as_the_contract_marks_it() -> None:
    pattern = r"// [A-Z_]+ \[(retry|final)\]:(?:(?!ERROR_REASON_).)*ERROR_REASON_(\w+) = "
    marks = re.findall(pattern, PROTO.read_text(), re.DOTALL)
    assert len(marks) == len(errors_pb2.ErrorReason.keys()) - 1
    assert {reason for mark, reason in marks if mark == "final"} == FINAL_REASONS


def test_what_is_not_known_is_brought_again() -> None:
    for reason in ("UNAVAILABLE", "DEADLINE_EXCEEDED", "UNKNOWN", "", "A_REASON_OF_TOMORROW"):
        assert not KernelCallError(reason).final
