"""Names of time zones, as channels send them and as anybody might."""

from __future__ import annotations

import pytest

from kernel_service.zones import zone_of


@pytest.mark.parametrize("name", ["Europe/Vienna", "America/Argentina/Buenos_Aires", "UTC", "Etc/GMT+5"])
def test_a_zone_is_known_by_its_name(name: str) -> None:
    assert str(zone_of(name)) == name


@pytest.mark.parametrize(
    "name",
    [
        "", "Vienna", "Europe", "Europe/", "europe/vienna", "../etc/passwd", "/etc/localtime", "Europe/../Vienna",
        "localtime", "posixrules", "Factory", "A" * 5_000, "Europe/Vienna\0", "Europe/Vienna\n", "GMT+1:00", "+01:00",
        "Ünder/Way", "Europe/Vienna/Wieden/Haus", "Zone.tab",
    ],
)  # fmt: skip
def test_anything_else_is_no_zone(name: str) -> None:
    assert zone_of(name) is None
