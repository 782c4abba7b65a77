"""The assistant: what it is told, what it can do, and what it asks first."""

from pathlib import Path

from pydantic import field_validator

from kernel_service.approvals.policy import ApprovalPolicy, Approve
from kernel_service.settings.concern import Concern, words
from serving.pem_files import check_readable


class Assistant(Concern):
    """The assistant."""

    kernel_instructions_file: Path | None = None
    """The file of the instructions that the model gets first, see docs/how-to/own-assistant.md. Unset: the product's
    own."""
    kernel_tools: str = ""
    """Your own tools, as `package.module:attribute`, several with commas, see docs/how-to/own-assistant.md."""
    kernel_approve: Approve = Approve.CAREFUL
    """The tool calls that ask the person first. Each mode includes the one before it. `destructive`: calls that may
    destroy, reach other people, share or pay. `careful`: also writes that are not plain writes in the person's own
    workspace. `writes`: also every other call that does not only read. `all`: also reads of a connected account.
    See docs/explanation/security.md#consent."""
    kernel_approve_tools: str = ""
    """Patterns of tools that ask the person first in any mode and, with `!` in front, of tools that never ask, as
    `ASANA_CREATE_*,!GMAIL_SEND_*`."""

    @field_validator("kernel_instructions_file")
    @classmethod
    def _is_instructions_file(cls, value: Path | None) -> Path | None:
        if value is not None:
            check_readable(value)
        return value

    def instructions(self) -> str:
        return self.kernel_instructions_file.read_text() if self.kernel_instructions_file else ""

    def approval_policy(self) -> ApprovalPolicy:
        return ApprovalPolicy(words(self.kernel_approve_tools), self.kernel_approve)
