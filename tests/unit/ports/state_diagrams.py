"""The diagrams of docs/reference/states.md, made of the tables: `python -m tests.unit.ports.state_diagrams`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kernel_service.ports.states.connect_attempt import CONNECT_ATTEMPT
from kernel_service.ports.states.media import MEDIA
from kernel_service.ports.states.message import MESSAGE
from kernel_service.ports.states.part import PART
from kernel_service.ports.states.reply import REPLY
from kernel_service.ports.states.turn import TURN

if TYPE_CHECKING:
    from kernel_service.ports.states.state_machine import StateMachine

DOCUMENT: Final = Path(__file__).parents[3] / "docs" / "reference" / "states.md"
BEGIN, END = "<!-- states: begin -->\n", "<!-- states: end -->\n"
MACHINES: Final[dict[str, StateMachine[Any]]] = {
    "Message": MESSAGE,
    "Turn": TURN,
    "Reply": REPLY,
    "Part of a reply": PART,
    "Connect attempt": CONNECT_ATTEMPT,
    "File": MEDIA,
}


def diagrams() -> str:
    return "".join(f"\n## {name}\n\n```mermaid\n{each.mermaid()}\n```\n" for name, each in MACHINES.items()) + "\n"


def written() -> str:
    """The diagrams as they are in the document."""
    return DOCUMENT.read_text().partition(BEGIN)[2].partition(END)[0]


def main() -> None:
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    DOCUMENT.write_text(before + BEGIN + diagrams() + END + rest.partition(END)[2])


if __name__ == "__main__":
    main()
