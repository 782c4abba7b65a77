"""The tools of the page "Build your own assistant" (docs/how-to/own-assistant.md)."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from kernel_service.ports.tools import Person, ToolFile, ToolResult
from kernel_service.tools.developer_tools import tool

NOTES = Path("var/notes")

Day = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


@tool(read_only=True, trusted_output=True)
def opening_hours(_: Person, day: Day) -> str:
    """Tell when the shop is open on a day of the week."""
    return "closed" if day == "sunday" else "09:00 to 18:00"


@tool(timeout=5)
def add_note(
    context: Person,
    text: Annotated[str, Field(min_length=1, max_length=500, description="The note, in the person's own words.")],
    *,
    important: bool = False,
) -> dict[str, int]:
    """Keep a note for the person. Use it when they ask to remember something."""
    NOTES.mkdir(parents=True, exist_ok=True)
    notes = NOTES / f"{context.id}.txt"
    with notes.open("a", encoding="utf-8") as file:
        file.write(f"{'! ' if important else ''}{text}\n")
    return {"notes": len(notes.read_text(encoding="utf-8").splitlines())}


@tool(read_only=True)
def send_notes(context: Person) -> str | ToolResult:
    """Send the person all notes that were kept for them, as a file."""
    notes = NOTES / f"{context.id}.txt"
    if not notes.exists():
        return "No notes are kept yet."
    return ToolResult("Here they are.", files=(ToolFile(notes.read_bytes(), "text/plain", "notes.txt"),))


@tool(asks_first=True)
def delete_notes(context: Person) -> str:
    """Delete all notes that were kept for the person."""
    (NOTES / f"{context.id}.txt").unlink(missing_ok=True)
    return "The notes are deleted."


TOOLS = [opening_hours, add_note, send_notes, delete_notes]
