"""The profile `monitoring`: a real Prometheus scrapes both services by the profile's own file, and knows the alerts."""

from __future__ import annotations

import asyncio
import os
import shutil
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import yaml

from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.integration.world import World

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE = yaml.safe_load((DEPLOY.parent / "docker-compose.yml").read_text())["services"]
CONFIG = yaml.safe_load((DEPLOY / "monitoring" / "prometheus.yml").read_text())
JOBS = {job["job_name"]: job for job in CONFIG["scrape_configs"]}
SECONDS = 30


def mounts(service: str) -> dict[str, Path]:
    """The files of this repository in a container, by their paths there."""
    pairs = (each.split(":") for each in COMPOSE[service]["volumes"])
    return {pair[1]: DEPLOY.parent / pair[0] for pair in pairs if pair[0].startswith("./")}


def test_each_job_finds_all_containers_of_a_service_at_its_port() -> None:
    for name in ("kernel_service", "whatsapp_gateway"):
        [found] = JOBS[name]["dns_sd_configs"]
        [service] = found["names"]
        environment = COMPOSE[service]["environment"]
        listens = environment.get("KERNEL_METRICS_LISTEN", environment.get("GATEWAY_METRICS_LISTEN"))
        assert str(listens).rstrip("}").endswith(f":{found['port']}")
        assert found["type"] == "A"


def test_every_file_that_the_containers_read_is_there() -> None:
    assert all(file.is_file() for service in ("prometheus", "grafana") for file in mounts(service).values())
    assert {*CONFIG["rule_files"], "/etc/prometheus/prometheus.yml"} == mounts("prometheus").keys()
    [provider] = yaml.safe_load((DEPLOY / "monitoring" / "dashboards.yaml").read_text())["providers"]
    shown = [path for path in mounts("grafana") if path.startswith(provider["options"]["path"])]
    assert shown == [COMPOSE["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]]
    [source] = yaml.safe_load((DEPLOY / "monitoring" / "datasource.yaml").read_text())["datasources"]
    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus:9090")


@pytest.mark.parametrize("service", ["tls", "prometheus", "grafana"])
def test_an_optional_part_runs_only_if_it_is_wanted(service: str) -> None:
    assert COMPOSE[service]["profiles"] == ["tls" if service == "tls" else "monitoring"]
    public = [port for port in COMPOSE[service].get("ports", ()) if not port.startswith("127.0.0.1:")]
    assert len(public) == (2 if service == "tls" else 0)


@asynccontextmanager
async def prometheus(folder: Path, targets: dict[str, str]) -> AsyncIterator[str]:
    """With the profile's file, except where the targets and the rules are."""
    port, jobs = free_port(), []
    for name, target in targets.items():
        rest = {key: value for key, value in JOBS[name].items() if key != "dns_sd_configs"}
        jobs.append(rest | {"static_configs": [{"targets": [target]}]})
    rules = [str(mounts("prometheus")[file]) for file in CONFIG["rule_files"]]
    often = {"global": {"scrape_interval": "1s", "evaluation_interval": "1s"}}
    (folder / "prometheus.yml").write_text(
        yaml.safe_dump(CONFIG | often | {"rule_files": rules, "scrape_configs": jobs})
    )
    process = await asyncio.create_subprocess_exec(
        *("prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"),
        f"--web.listen-address=127.0.0.1:{port}",
        env={"PATH": os.environ["PATH"]},
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{port}/api/v1"
    finally:
        process.terminate()
        await process.wait()


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("prometheus"), reason="prometheus is not installed; .ci/run installs it")
async def test_prometheus_scrapes_both_services_and_evaluates_the_alerts(world: World, tmp_path: Path) -> None:
    targets = {
        "kernel_service": world.settings["kernel_metrics_listen"],
        "whatsapp_gateway": world.webhook_url.split("/")[2],
    }
    await world.ask(world.phone("Alice"), "hello")
    async with prometheus(tmp_path, targets) as api, aiohttp.ClientSession() as session:
        up = await until(session, f"{api}/query?query=up==1", lambda found: len(found["result"]) == 2)
        assert {each["metric"]["job"] for each in up["result"]} == targets.keys()
        for query in ("kernel_answer_seconds_count>0", "gateway_reply_seconds_count>0", "kernel_build_info"):
            await until(session, f"{api}/query?query={query}", lambda found: bool(found["result"]))
        rules = await until(session, f"{api}/rules", lambda found: all_evaluated(found["groups"]))
        health = {rule["health"] for group in rules["groups"] for rule in group["rules"]}
        assert health == {"ok"}


def all_evaluated(groups: list[dict[str, Any]]) -> bool:
    return bool(groups) and all(rule["health"] != "unknown" for group in groups for rule in group["rules"])


async def until(session: aiohttp.ClientSession, url: str, holds: Any) -> dict[str, Any]:
    async with asyncio.timeout(SECONDS):
        while True:
            try:
                async with session.get(url) as response:
                    found: dict[str, Any] = (await response.json())["data"]
                    if holds(found):
                        return found
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)
