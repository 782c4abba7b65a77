"""The rooms of every package form floors, and docs/contributing/layout.md shows them as they are."""

from pathlib import Path

import pytest

from checks.import_graph import PACKAGES, ROOT, Rooms, section, written

ALL_PACKAGES = sorted(
    ".".join(path.parent.relative_to(ROOT).parts)
    for package in ("kernel_service", "whatsapp_gateway", "kernel_client", "serving", "emulators")
    for path in (ROOT / package).rglob("__init__.py")
)
TYPES_OF_EACH_OTHER = "kernel_service.ports"
"""The ports name each other's types; see `.importlinter` for what may import them."""


def of(arrows: dict[str, set[str]]) -> Rooms:
    return Rooms("sample", arrows)


@pytest.mark.slow
@pytest.mark.parametrize("package", [package for package in ALL_PACKAGES if package != TYPES_OF_EACH_OTHER])
def test_no_arrow_leads_up_and_there_is_no_circle(package: str) -> None:
    rooms = Rooms.read(package)
    assert rooms.circles == []
    assert rooms.arrows_up == 0
    floor = {room: number for number, floor in enumerate(rooms.floors) for room in floor}
    assert all(floor[room] < floor[imported] for room in rooms.arrows for imported in rooms.arrows[room])


@pytest.mark.slow
def test_the_document_shows_the_graph() -> None:
    assert written() == section(), "run `make docs`"
    assert {"kernel_service", "whatsapp_gateway"} <= set(PACKAGES)


def test_imports_are_arrows_between_rooms(tmp_path: Path) -> None:
    for name, text in {
        "pkg/__init__.py": "",
        "pkg/top.py": "from pkg.room import inner\nimport pkg.ground\nimport os",
        "pkg/room/__init__.py": "",
        "pkg/room/inner.py": "from pkg.room.other import x\nif TYPE_CHECKING:\n    from pkg.ground import y",
        "pkg/room/other.py": "def f():\n    from pkg import ground",
        "pkg/ground.py": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    rooms = Rooms.read("pkg", tmp_path)
    assert rooms.arrows == {"top": {"room", "ground"}, "room": {"ground"}, "ground": set()}
    assert rooms.floors == [["top"], ["room"], ["ground"]]


def test_a_circle_is_found_and_shares_a_floor() -> None:
    rooms = of({"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set()})
    assert rooms.circles == [{"b", "c"}]
    assert rooms.arrows_up == 1
    assert rooms.floors == [["a"], ["b", "c"], ["d"]]


@pytest.mark.parametrize(
    ("arrows", "up"),
    [
        ({"a": {"b"}, "b": {"a"}}, 1),
        ({"a": {"b", "c", "d"}, "b": {"a"}, "c": {"d"}, "d": {"b"}}, 1),
        ({"a": {"b", "c"}, "b": {"a", "c"}, "c": {"a", "b"}}, 3),
        ({"a": {"b"}, "b": {"a"}, "c": {"d"}, "d": {"c", "a"}}, 2),
    ],
)
def test_arrows_that_lead_up_in_any_order_are_counted(arrows: dict[str, set[str]], up: int) -> None:
    assert of(arrows).arrows_up == up
