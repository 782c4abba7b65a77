"""What a refusal means is read from the contract."""

import pytest

from whatsapp_gateway.kernel.errors import KernelCallError


@pytest.mark.parametrize("reason", ["USER_NOT_ALLOWED", "PAYLOAD_TOO_LARGE", "IDENTITY_CONFLICT"])
def test_what_the_contract_does_not_mark_as_retryable_is_final(reason: str) -> None:
    assert KernelCallError(reason).final


@pytest.mark.parametrize("reason", ["TOO_MANY_PENDING", "SEALED_VALUE_DAMAGED", "TOKEN_INVALID"])
def test_what_the_contract_marks_as_retryable_is_brought_again(reason: str) -> None:
    assert not KernelCallError(reason).final


@pytest.mark.parametrize("reason", ["UNAVAILABLE", "DEADLINE_EXCEEDED", "UNKNOWN", "", "A_REASON_OF_TOMORROW"])
def test_what_is_not_known_is_brought_again(reason: str) -> None:
    assert not KernelCallError(reason).final
