"""The import graph of the packages: `python -m checks.import_graph` draws it into docs/contributing/layout.md.

A room is what stands directly in a package: a sub-package with all that is in it, or a module. An arrow leads from a
room to another one that it imports, also for types alone.
"""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "contributing" / "layout.md"
BEGIN, END = "<!-- rooms: begin -->\n", "<!-- rooms: end -->\n"
PACKAGES = ("kernel_service", "kernel_service.storage", "kernel_service.turns", "whatsapp_gateway")


@dataclass(frozen=True)
class Rooms:
    """The rooms of one package. `arrows` are the rooms that each room imports."""

    package: str
    arrows: dict[str, set[str]]

    @classmethod
    def read(cls, package: str, root: Path = ROOT) -> Rooms:
        folder = root.joinpath(*package.split("."))
        modules = {_module(path, root): path for path in sorted(folder.rglob("*.py"))}
        arrows: dict[str, set[str]] = {}
        for module, path in modules.items():
            room = _room(module, package)
            if room:
                found = {_room(imported, package) for imported in _imports(path, modules)}
                arrows.setdefault(room, set()).update(found - {room, ""})
        return cls(package, {room: found & arrows.keys() for room, found in arrows.items()})

    @property
    def count(self) -> int:
        """How many arrows there are."""
        return sum(map(len, self.arrows.values()))

    @property
    def circles(self) -> list[set[str]]:
        """The groups of rooms in which each reaches every other one."""
        reached = {room: self.reached(room) for room in self.arrows}
        groups = {
            frozenset({room} | {other for other in reached[room] if room in reached[other]}) for room in self.arrows
        }
        return sorted((set(group) for group in groups if len(group) > 1), key=sorted)

    @property
    def floors(self) -> list[list[str]]:
        """The rooms from the top to the ground; each imports only from floors below it. A circle is on one floor."""
        group_of = {room: room for room in self.arrows}
        for circle in self.circles:
            group_of |= dict.fromkeys(circle, min(circle))
        below: dict[str, set[str]] = {group: set() for group in group_of.values()}
        for room, imported in self.arrows.items():
            below[group_of[room]] |= {group_of[other] for other in imported} - {group_of[room]}
        height: dict[str, int] = {}
        for group in TopologicalSorter(below).static_order():
            height[group] = 1 + max((height[other] for other in below[group]), default=-1)
        floors: list[list[str]] = [[] for _ in range(max(height.values(), default=-1) + 1)]
        for room in sorted(self.arrows):
            floors[-1 - height[group_of[room]]].append(room)
        return floors

    @property
    def arrows_up(self) -> int:
        """How many arrows of circles lead up, whatever the order of the rooms: those that have to go."""
        return sum(_fewest_up({room: self.arrows[room] & circle for room in circle}) for circle in self.circles)

    def reached(self, room: str) -> set[str]:
        """The rooms that it imports, directly or through others; itself if it is in a circle."""
        reached: set[str] = set()
        waiting = [room]
        while waiting:
            found = self.arrows[waiting.pop()] - reached
            reached |= found
            waiting += found
        return reached


def _module(path: Path, root: Path) -> str:
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def _room(module: str, package: str) -> str:
    """The part of a module's name behind the package's; empty: it is not in the package."""
    return module.removeprefix(f"{package}.").partition(".")[0] if module.startswith(f"{package}.") else ""


def _imports(path: Path, modules: dict[str, Path]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in modules else node.module for name in names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def _fewest_up(arrows: dict[str, set[str]]) -> int:
    """Greedy: rooms leave from the top, first those that no other imports, else the one with the most to gain."""
    left, up = set(arrows), 0
    while left:
        importers = {room: sum(room in arrows[other] for other in left - {room}) for room in left}
        room = min(sorted(left), key=lambda each: (importers[each] > 0, importers[each] - len(arrows[each] & left)))
        up += importers[room]
        left.remove(room)
    return up


# --- the drawing ----------------------------------------------------------------------------------------------------


def section(root: Path = ROOT) -> str:
    """The graph of each package of a tree in Markdown, with a table of its counts."""
    graphs = [Rooms.read(package, root) for package in PACKAGES if root.joinpath(*package.split(".")).is_dir()]
    lines = ["| package | rooms | floors | arrows | circles | arrows up |", "|---|---|---|---|---|---|"]
    for graph in graphs:
        counts = (len(graph.arrows), len(graph.floors), graph.count, len(graph.circles), graph.arrows_up)
        lines.append(f"| `{graph.package}` | {' | '.join(map(str, counts))} |")
    for graph in graphs:
        lines += ["", f"<details><summary><b>{graph.package}</b></summary>", "", *_mermaid(graph), "", "</details>"]
    return "\n".join(lines) + "\n"


def _mermaid(graph: Rooms) -> Iterator[str]:
    """Arrows that follow from others are left out. Arrows of a circle are bold."""
    circle_of = {room: number for number, circle in enumerate(graph.circles) for room in circle}
    yield "```mermaid"
    yield "flowchart TD"
    for room in sorted(graph.arrows):
        yield f"  {_node(room)}[{room}]"
    for room in sorted(graph.arrows):
        for imported in sorted(graph.arrows[room]):
            if room in circle_of and circle_of[room] == circle_of.get(imported):
                yield f"  {_node(room)} ==> {_node(imported)}"
            elif not _follows(graph, room, imported):
                yield f"  {_node(room)} --> {_node(imported)}"
    yield "```"


def _node(room: str) -> str:
    """Prefixed, because Mermaid reserves words such as `end`."""
    return f"r_{room}"


def _follows(graph: Rooms, room: str, imported: str) -> bool:
    """Whether another room that this one imports leads to the imported one as well, and not back."""
    return any(
        imported in graph.reached(other) and room not in graph.reached(other) and other not in graph.reached(imported)
        for other in graph.arrows[room] - {imported}
    )


def written() -> str:
    """The section as it is in the document."""
    return DOCUMENT.read_text().partition(BEGIN)[2].partition(END)[0]


def main() -> None:
    """Draw this tree into the document, or print the drawing of another one."""
    if len(sys.argv) > 1:
        sys.stdout.write(section(Path(sys.argv[1])))
        return
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    DOCUMENT.write_text(before + BEGIN + section() + END + rest.partition(END)[2])


if __name__ == "__main__":
    main()
