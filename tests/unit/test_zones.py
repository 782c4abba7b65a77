"""Names of time zones, valid and invalid."""

from __future__ import annotations

import pytest

from kernel_service.zones import zone_of


@pytest.mark.parametrize("name", ["Europe/Vienna", "America/Argentina/Buenos_Aires", "UTC", "Etc/GMT+5"])
def test_zone_is_found_by_its_name(name: str) -> None:
    assert str(zone_of(name)) == name


@pytest.mark.parametrize(
    "name",
    [
        "", "Vienna", "Europe", "Europe/", "europe/vienna", "../etc/passwd", "/etc/localtime", "Europe/../Vienna",
        "localtime", "posixrules", "Factory", "A" * 5_000, "Europe/Vienna\0", "Europe/Vienna\n", "GMT+1:00", "+01:00",
        "Ünder/Way", "Europe/Vienna/Wieden/Haus", "Zone.tab",
    ],
)  # fmt: skip
def test_other_names_are_not_zones(name: str) -> None:
    assert zone_of(name) is None
