"""Names of time zones, valid and invalid."""

from __future__ import annotations

import pytest

from kernel_service.zones import said_zone, zone_of


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


@pytest.mark.parametrize(
    ("said", "zone"),
    [
        ("Europe/Berlin", "Europe/Berlin"), ("europe/berlin", "Europe/Berlin"),
        ("America/New York", "America/New_York"),
        ("utc", "UTC"), ("Etc/UTC", "UTC"), ("GMT", "UTC"), (" Asia/Tokyo ", "Asia/Tokyo"),
        ("EST", ""), ("CET", ""), ("Etc/GMT+5", ""), ("+02:00", ""), ("US/Pacific", ""), ("Tokyo", ""), ("", ""),
        ("Europe", ""), ("../etc/passwd", ""), ("x" * 10_000, ""),
    ],
)  # fmt: skip
def test_a_person_is_in_a_zone_of_a_place(said: str, zone: str) -> None:
    assert said_zone(said) == zone
