"""The page with a fake engine, as in tests/unit/test_compose_script.py, and its settings in the real file."""

import base64
import os
import re
from pathlib import Path

import yaml

from kernel_service.storage.sealing.ciphers import MasterKeys
from tests.documents.operator import settings
from tests.documents.page import ROOT, Page
from tests.documents.programs import path_with
from tests.documents.shell import printed
from tests.documents.words import assert_shown
from tests.unit.test_compose_script import ENGINE, REQUIRED, Machine

PORTS = {8080: "GATEWAY_PORT", 8081: "CONNECT_PORT", 50051: "KERNEL_PORT"}


def test_the_page(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    (tmp_path / "Makefile").symlink_to(ROOT / "Makefile")
    engine = {**os.environ, "PATH": path_with(tmp_path / "bin", docker=ENGINE.format(code=0, takes=0))}
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    with Page("docs/how-to/compose.md") as page:
        key, token = printed(page.take("sh"), tmp_path).strip(), printed(page.take("sh"), tmp_path).strip()
        assert len(base64.b64decode(key.partition(":")[2])) == 32
        MasterKeys.parse(key)
        filled = page.take("ini").replace("<the first>", key)
        others = dict.fromkeys(set(REQUIRED) - {name.upper() for name in settings(filled)}, "x")
        machine.env(**others)
        with (tmp_path / ".env").open("a") as env:
            env.write(re.sub("<the (second|third|fourth)>", token, filled))
        started = printed(page.take("sh"), tmp_path, engine)
        assert_shown(page.take("text"), started)
        assert all(f"{setting}:-{port}" in str(services["proxy"]["ports"]) for port, setting in PORTS.items())
        scaled = settings(page.take("ini"))
        assert all(f"{name.upper()}:-1" in (ROOT / "docker-compose.yml").read_text() for name in scaled)
        printed(page.take("sh"), tmp_path, engine)
        assert machine.told.endswith("compose exec kernel_service kernelctl nodes\n")
        override = yaml.safe_load(page.take("yaml"))["services"]
    assert override.keys() <= services.keys()
    assert all(each.split(":")[1].startswith("/app/") for each in override["kernel_service"]["volumes"])
