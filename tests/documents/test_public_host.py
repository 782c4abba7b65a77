"""The files that a public code host reads: they parse, and the checks there are those of .ci/run."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.documents.page import ROOT

if TYPE_CHECKING:
    from pathlib import Path

WORKFLOW = ROOT / ".github/workflows/ci.yml"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
FORMS = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("[!c]*.yml"))


def jobs() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text())["jobs"]
    return found


def steps() -> list[dict[str, Any]]:
    return [step for job in jobs().values() for step in job["steps"]]


def test_the_workflow_runs_the_steps_of_ci_run() -> None:
    wanted = re.findall(r"^make \w+.*$", (ROOT / ".ci/run").read_text(), re.MULTILINE)
    runs = [step["run"] for step in steps() if "run" in step]
    for command in wanted:
        assert any(run.startswith(command) for run in runs), f"no job runs {command}"


def test_the_matrix_is_each_supported_python_and_both_databases() -> None:
    matrix = jobs()["test"]["strategy"]["matrix"]
    classifiers = "\n".join(PROJECT["classifiers"])
    assert matrix["python"] == re.findall(r"Python :: (3\.\d+)$", classifiers, re.MULTILINE)
    assert matrix["python"][0] == PROJECT["requires-python"].removeprefix(">=")
    assert matrix["database"] == ["sqlite", "postgresql"]


def test_each_job_is_limited_and_no_step_needs_a_secret() -> None:
    text = WORKFLOW.read_text()
    assert "secrets." not in text
    assert yaml.safe_load(text)["permissions"] == {"contents": "read"}
    assert all(job["timeout-minutes"] <= 60 for job in jobs().values())


def test_each_action_is_pinned_to_a_version() -> None:
    for step in steps():
        if "uses" in step:
            assert re.fullmatch(r"actions/[\w-]+@v\d+\.\d+\.\d+", step["uses"]), step["uses"]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_an_issue_form_has_what_the_host_requires(form: Path) -> None:
    content = yaml.safe_load(form.read_text())
    assert {"name", "description", "body"} <= set(content)
    ids = [field["id"] for field in content["body"] if field["type"] != "markdown"]
    assert len(ids) == len(set(ids)) > 0
    for field in content["body"]:
        assert field["type"] in {"markdown", "textarea", "input", "dropdown", "checkboxes"}
        assert field["attributes"].get("label") or field["type"] == "markdown"


def test_the_license_is_the_one_that_the_package_names() -> None:
    assert PROJECT["license"] == "MIT"
    assert (ROOT / "LICENSE").read_text().startswith("MIT License")
    assert PROJECT["license-files"] == ["LICENSE"]


def test_the_jobs_of_the_two_databases_divide_the_tests() -> None:
    sqlite, postgresql = collected("--database=sqlite"), collected("--database=postgresql")
    assert sqlite
    assert {each.replace("[sqlite", "[postgresql") for each in sqlite} == postgresql


def collected(*arguments: str) -> set[str]:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--collect-only",
        "-q",
        "-p",
        "no:cacheprovider",
        *arguments,
        "tests/contract/store/test_doubt.py",
    ]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return {line for line in listed.splitlines() if "::" in line}
