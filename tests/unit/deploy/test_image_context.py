"""The image is built from what the wheel needs, and the engine is sent all of it."""

import re
from fnmatch import fnmatch

from tests.unit.test_locks import PROJECT
from tests.unit.test_settings_documented import ROOT

COPIED = [
    source.replace("${LOCK}", "requirements.txt")
    for line in re.findall(r"^COPY (?!--from)(.*) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    for source in line.split()
]


def test_each_package_is_copied() -> None:
    included = PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]
    packages = {
        path.parent.name
        for path in ROOT.glob("*/__init__.py")
        if any(fnmatch(path.parent.name, each) for each in included)
    }
    assert {"kernel_service", "local_run"} <= packages
    assert packages <= set(COPIED)


def test_each_license_is_copied() -> None:
    assert {*PROJECT["project"]["license-files"], PROJECT["project"]["readme"]} <= set(COPIED)


def test_nothing_that_is_copied_is_ignored() -> None:
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert set(COPIED) <= sent
