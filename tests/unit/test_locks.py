"""Only locked packages are installed, by hash. Containers have limits."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement

from tests.unit.test_settings_documented import ROOT

if TYPE_CHECKING:
    from pathlib import Path

LOCKS = [f"requirements{end}.txt" for end in ("", "-dev", "-traces", "-chart", "-supply", "-build")]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
WANTED = {
    "requirements.txt": PROJECT["project"]["dependencies"],
    "requirements-dev.txt": PROJECT["project"]["dependencies"] + PROJECT["project"]["optional-dependencies"]["dev"],
    "requirements-chart.txt": PROJECT["dependency-groups"]["chart"],
    "requirements-traces.txt": PROJECT["project"]["dependencies"]
    + PROJECT["project"]["optional-dependencies"]["traces"],
    "requirements-supply.txt": PROJECT["dependency-groups"]["supply"],
    "requirements-build.txt": PROJECT["build-system"]["requires"],
}
DIGEST = f"sha256:{'a' * 64}"


def locked(lock: str) -> list[tuple[Requirement, list[str]]]:
    """Each requirement, and the hashes of its files."""
    text = re.sub(r"^#.*\n", "", (ROOT / lock).read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    lines = [re.split(r"\s+--hash=", line.strip()) for line in text.splitlines()]
    return [(Requirement(first), hashes) for first, *hashes in lines]


@pytest.mark.parametrize("lock", LOCKS)
def test_each_version_is_pinned_with_hashes(lock: str) -> None:
    for requirement, hashes in locked(lock):
        assert re.fullmatch(r"==[^*,]+", str(requirement.specifier)), requirement
        assert hashes, requirement
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", each) for each in hashes), requirement


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_index(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert not re.search(r"://|^-|--(?!hash=sha256)", text, re.MULTILINE)


@pytest.mark.parametrize("lock", LOCKS)
def test_requirements_of_the_project_are_locked(lock: str) -> None:
    versions = {requirement.name: str(requirement.specifier)[2:] for requirement, _ in locked(lock)}
    for wanted in map(Requirement, WANTED[lock]):
        assert wanted.specifier.contains(versions[wanted.name.lower()], prereleases=True), wanted


def test_tests_run_with_the_versions_that_services_run_with() -> None:
    runtime, development = (
        {each.name: (each.specifier, hashes) for each, hashes in locked(lock)} for lock in LOCKS[:2]
    )
    assert {name: development.get(name) for name in runtime} == runtime


@pytest.mark.parametrize("file", ["Makefile", "Dockerfile"])
def test_every_installation_uses_a_lock_or_the_project(file: str) -> None:
    text = re.sub(r"^INSTALL := .*", "", (ROOT / file).read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    text = text.replace("$(INSTALL)", "pip install --no-build-isolation")
    commands = re.findall(r"pip(?: --\S+ \S+)? (?:install|wheel) [^&\n]*", text)
    assert commands
    for command in commands:
        by_lock = "--require-hashes" in command and re.search("--no-build-isolation|requirements-build", command)
        from_here = "--no-deps" in command and ("--no-build-isolation" in command or "--no-index" in command)
        assert by_lock or from_here, command


OPTIONAL = ("tls", "prometheus", "grafana")


def test_every_container_is_bounded() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    services = re.findall(r"^  (\w+):\n((?:    .*\n|\n)+)", text[text.index("\nservices:") :], re.MULTILINE)
    names = [name for name, body in services if "image:" in body or "<<:" in body]
    assert names == ["postgres", "kernel_service", "whatsapp_gateway", "proxy", "emulators", *OPTIONAL]
    for _, body in services[: len(names)]:
        assert "mem_limit:" in body
        assert "<<: *hardened" in body or "<<: *service" in body
    assert text.count("kernel_key:/") == 1, "the kernel service's key is its own"
    hardened = text[text.index("&hardened") : text.index("x-probed")]
    for bound in ("read_only: true", "cap_drop: [ALL]", "no-new-privileges:true", "pids_limit:", "cpus:"):
        assert bound in hardened
    assert re.search(r"&service\n  <<: \*hardened", text)


def test_the_pair_that_compose_makes_is_never_an_operators() -> None:
    """Otherwise a misspelt name would overwrite the key next to it."""
    [made] = re.findall(r"serving\.own_certificate (.*)\n", (ROOT / "docker-compose.yml").read_text())
    assert made == "/tls/private/kernel_service.key /tls/public/kernel_service.pem"


class Copy:
    """The files that name images, and a Docker that knows their digests."""

    def __init__(self, folder: Path, says: str) -> None:
        self.folder = folder
        (folder / "deploy" / "tls").mkdir(parents=True)
        for file in ("deploy/pin.sh", "Dockerfile", "docker-compose.yml", "deploy/tls/Dockerfile"):
            shutil.copy(ROOT / file, folder / file)
        (folder / "docker").write_text(f"#!/bin/sh\n{says}\n")
        (folder / "docker").chmod(0o755)

    def pin(self) -> subprocess.CompletedProcess[str]:
        path = {"PATH": f"{self.folder}{os.pathsep}{os.environ['PATH']}"}
        return subprocess.run(["deploy/pin.sh"], cwd=self.folder, env=path, capture_output=True, text=True, check=False)

    def images(self) -> set[str]:
        files = ("Dockerfile", "docker-compose.yml", "deploy/tls/Dockerfile")
        texts = "".join((self.folder / name).read_text() for name in files)
        return set(re.findall(r"(?:ARG BASE=|image: )(\S+:\S+)", texts))


def test_images_are_pinned_and_can_be_pinned_again(tmp_path: Path) -> None:
    copy = Copy(tmp_path, f"echo {DIGEST}")
    before = {image.partition("@")[0] for image in copy.images()}
    for _ in range(2):
        assert copy.pin().returncode == 0
        assert copy.images() == {f"{image}@{DIGEST}" for image in before}
    assert len(before) == 6


@pytest.mark.parametrize("says", ["exit 1", "echo nothing"])
def test_missing_digest_changes_nothing_and_is_reported(tmp_path: Path, says: str) -> None:
    copy = Copy(tmp_path, says)
    before = copy.images()
    done = copy.pin()
    assert done.returncode == 1
    assert "digest of python:" in done.stderr
    assert copy.images() == before
