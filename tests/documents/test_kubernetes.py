"""The page's Secret and values with the chart. `docker` and `kubectl` are recorded: there is no cluster here."""

import os
import shutil
from pathlib import Path

import kubernetes_validate
import yaml

from tests.documents.page import ROOT, Page
from tests.documents.programs import path_with
from tests.documents.shell import printed
from tests.helm import program

RECORDED = 'echo "$0 $@" >> told'


def rendering() -> str:
    """A `helm` that renders instead of installing. To make a certificate takes longer than everything else."""
    return f'shift; exec {program()} template "$@" --set tls.existingSecret=of-cert-manager'


def test_the_page(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "deploy" / "helm", tmp_path / "deploy" / "helm")
    path = path_with(tmp_path / "bin", docker=RECORDED, kubectl=RECORDED, helm=rendering())
    shell = {**os.environ, "PATH": path}
    with Page("docs/how-to/kubernetes.md") as page:
        pushed = page.take("sh")
        printed(pushed, tmp_path, shell)
        secret = yaml.safe_load(page.take("yaml"))
        kubernetes_validate.validate(secret, "1.27")
        printed(page.take("sh"), tmp_path, shell)
        values = page.take("yaml")
        (tmp_path / "values.yaml").write_text(values)
        objects = [each for each in yaml.safe_load_all(printed(page.take("sh"), tmp_path, shell)) if each]
        looks = page.take("sh")
        printed(looks, tmp_path, shell)
    assert f"{yaml.safe_load(values)['image']['repository']}:1.0" in pushed
    deployments = {each["metadata"]["name"]: each for each in objects if each["kind"] == "Deployment"}
    assert "deployment/assistant-kernel-per-person-kernel-service " in looks
    assert "assistant-kernel-per-person-kernel-service" in deployments
    assert all(each["metadata"]["labels"]["app.kubernetes.io/instance"] == "assistant" for each in deployments.values())
    asked = {
        variable["valueFrom"]["secretKeyRef"]["key"]
        for deployment in deployments.values()
        for variable in deployment["spec"]["template"]["spec"]["containers"][0]["env"]
        if "secretKeyRef" in variable.get("valueFrom", {}) and not variable["valueFrom"]["secretKeyRef"].get("optional")
    }
    assert asked == secret["stringData"].keys()
    assert [each["spec"]["replicas"] for each in deployments.values()] == [3, 2]
