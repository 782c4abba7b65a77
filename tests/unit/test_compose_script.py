"""`make up` and `make down` without an engine: a fake program records its arguments."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
REQUIRED = [
    *("OPENAI_API_KEY", "COMPOSIO_API_KEY", "WHATSAPP_ACCESS_TOKEN", "WHATSAPP_APP_SECRET", "WHATSAPP_VERIFY_TOKEN"),
    *("WHATSAPP_PHONE_NUMBER_ID", "KERNEL_ENCRYPTION_KEYS", "KERNEL_TOKEN", "KERNEL_ADMIN_TOKEN", "POSTGRES_PASSWORD"),
]
ENGINE = """#!/bin/sh
echo "$@" >> told
case "$*" in
image\\ inspect*) echo sha256:new ;;
*State.Health*) cat health ;;
inspect*) echo "$(cat image) hash" ;;
"rm --force "*) : >running ;;
*"config --hash"*) echo "service hash" ;;
*"ps --all --quiet"* | *"ps --quiet"*) cat running ;;
*" up "*) sleep {takes} >/dev/null 2>&1; exit {code} ;;
*ps*) cat states ;;
*logs*) echo "a line of $(echo "$@" | awk '{{print $NF}}')" ;;
*"port proxy 8080"*) echo 127.0.0.1:8080 ;;
*"port proxy 8081"*) echo 0.0.0.0:8081 ;;
*"port grafana"*) echo 127.0.0.1:3000 ;;
*"port emulators"*) echo 127.0.0.1:8090 ;;
esac
"""
HEALTHY = "postgres running healthy\nkernel_service running healthy\nwhatsapp_gateway running healthy\n"


class Machine:
    """A directory with the script, and the engine that it finds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "deploy").mkdir()
        shutil.copy(ROOT / "deploy" / "compose.sh", folder / "deploy")
        shutil.copy(ROOT / "deploy" / "demo.env", folder / "deploy")
        self.engine()
        self.runs()

    def runs(self, *containers: str, image: str = "sha256:new", health: str = "healthy") -> None:
        """Containers of each service, all of one image."""
        (self.folder / "health").write_text(health)
        (self.folder / "running").write_text("".join(f"{each}\n" for each in containers))
        (self.folder / "image").write_text(image)

    def engine(self, states: str = HEALTHY, *, code: int = 0, takes: float = 0) -> None:
        (self.folder / "engine").write_text(ENGINE.format(code=code, takes=takes))
        (self.folder / "engine").chmod(0o755)
        (self.folder / "states").write_text(states)

    def env(self, **settings: str) -> None:
        (self.folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))

    def run(self, what: str, **environ: str) -> subprocess.CompletedProcess[str]:
        engine = str(self.folder / "engine")
        return subprocess.run(
            ["deploy/compose.sh", what],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "COMPOSE": engine, "DOCKER": engine, "PATIENCE": "3", **environ},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    @property
    def told(self) -> str:
        return (self.folder / "told").read_text() if (self.folder / "told").exists() else ""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def complete(**other: str) -> dict[str, str]:
    return dict.fromkeys(REQUIRED, "x") | other


def test_without_keys_the_demo_starts_and_says_where_it_is(machine: Machine) -> None:
    done = machine.run("up")
    assert done.returncode == 0, done.stderr
    assert "--env-file deploy/demo.env up --detach" in machine.told
    assert "Open http://127.0.0.1:8090/ and write from a phone" in done.stdout
    assert "http://127.0.0.1:8080/webhook" in done.stdout
    assert "http://127.0.0.1:8081/connect/" in done.stdout


def test_the_demo_takes_the_ports_of_env(machine: Machine) -> None:
    machine.env(GATEWAY_PORT="9999", OPENAI_API_KEY="")
    assert machine.run("up").returncode == 0
    assert "--env-file .env --env-file deploy/demo.env up" in machine.told


def test_with_keys_the_real_one_starts_and_the_demos_emulators_end(machine: Machine) -> None:
    machine.env(**complete(CONNECT_PUBLIC_URL="https://connect.example.com"))
    done = machine.run("up")
    assert done.returncode == 0, done.stderr
    lines = machine.told.splitlines()
    removed = next(number for number, line in enumerate(lines) if "--profile demo rm --stop --force emulators" in line)
    started = next(number for number, line in enumerate(lines) if " up " in line)
    assert removed < started
    assert "demo.env" not in machine.told
    assert "https://connect.example.com/connect/" in done.stdout
    assert "DEMO" not in done.stdout


def test_optional_parts_are_named_with_their_addresses(machine: Machine) -> None:
    machine.env(**complete(CONNECT_PUBLIC_URL="https://bot.example.com", COMPOSE_PROFILES="tls,monitoring"))
    done = machine.run("up")
    assert done.returncode == 0, done.stderr
    assert "The profile tls publishes both as https." in done.stdout
    assert "Dashboard:          http://127.0.0.1:3000/" in done.stdout
    assert "Put your https proxy" not in done.stdout
    assert " rm -sf tls" not in machine.told
    assert " rm -sf prometheus grafana" not in machine.told


def test_parts_that_are_no_longer_wanted_end(machine: Machine) -> None:
    machine.env(**complete(COMPOSE_PROFILES="monitoring"))
    assert machine.run("up").returncode == 0
    assert "--profile tls rm -sf tls" in machine.told
    assert " rm -sf prometheus grafana" not in machine.told


def test_the_demo_takes_optional_parts_beside_its_own(machine: Machine) -> None:
    machine.env(COMPOSE_PROFILES="monitoring")
    assert machine.run("up").returncode == 0
    assert "--env-file deploy/demo.env --profile demo --profile monitoring up" in machine.told


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"COMPOSE_PROFILES": "tls"}, "CONNECT_PUBLIC_URL must be the https address"),
        ({"COMPOSE_PROFILES": "tls", "CONNECT_PUBLIC_URL": "http://x.example"}, "CONNECT_PUBLIC_URL must be the https"),
        ({"COMPOSE_PROFILES": "tls", "CONNECT_PUBLIC_URL": "https://x.example/"}, "without / at its end"),
        ({"COMPOSE_PROFILES": "tls", "CONNECT_PUBLIC_URL": "https://x.example:444"}, "without a port"),
        (
            {"COMPOSE_PROFILES": "tls", "CONNECT_PUBLIC_URL": "https://x.example,https://y.example"},
            "CONNECT_PUBLIC_URL",
        ),
        ({"COMPOSE_PROFILES": "tls", "CONNECT_PUBLIC_URL": "https://"}, "CONNECT_PUBLIC_URL must be the https"),
        ({"COMPOSE_PROFILES": "monitor"}, "COMPOSE_PROFILES: there is no part monitor; there are: tls monitoring"),
    ],
)
def test_a_part_that_cannot_work_is_refused(machine: Machine, settings: dict[str, str], told: str) -> None:
    machine.env(**complete(**settings))
    done = machine.run("up")
    assert done.returncode == 2
    assert told in done.stderr
    assert machine.told == ""


def test_env_is_read_as_compose_reads_it(machine: Machine) -> None:
    """Compose and python-dotenv take `export`, spaces, quotes, and comments behind values."""
    forms = ("export {}=x", "{} = x", '{}="x" # mine', "{}='x'", "{}=x # mine", "  {}=x  ", "{}=x\r")
    lines = [forms[number % len(forms)].format(name) for number, name in enumerate(REQUIRED)]
    site = "CONNECT_PUBLIC_URL=https://bot.example.com # ours\nCOMPOSE_PROFILES=tls"
    (machine.folder / ".env").write_text("\n".join([*lines, site, ""]))
    done = machine.run("up")
    assert done.returncode == 0, done.stderr
    assert "deploy/demo.env" not in machine.told
    assert "The profile tls publishes both as https." in done.stdout


def test_an_empty_key_is_none(machine: Machine) -> None:
    machine.env(
        OPENAI_API_KEY="''", COMPOSIO_API_KEY=" ", WHATSAPP_ACCESS_TOKEN=" # for later", OPENAI_API_KEY_FILE='""'
    )
    assert machine.run("up").returncode == 0
    assert "deploy/demo.env" in machine.told


def test_all_missing_settings_are_named_at_once(machine: Machine) -> None:
    machine.env(OPENAI_API_KEY="sk-1", KERNEL_TOKEN="''")
    done = machine.run("up")
    assert done.returncode == 2
    missing = [line.split()[0] for line in done.stderr.splitlines() if " is missing" in line]
    assert missing == REQUIRED[1:]
    assert machine.told == ""


def test_setting_in_the_environment_is_not_missing(machine: Machine) -> None:
    machine.env(OPENAI_API_KEY="sk-1")
    assert machine.run("up", **complete()).returncode == 0


def test_a_secret_in_a_file_is_not_missing(machine: Machine) -> None:
    files = {f"{name}_FILE" if name != "WHATSAPP_PHONE_NUMBER_ID" else name: "x" for name in REQUIRED}
    machine.env(**files)
    done = machine.run("up")
    missing = [line.split()[0] for line in done.stderr.splitlines() if " is missing" in line]
    assert (done.returncode, missing) == (2, ["KERNEL_CHANNEL_TOKENS_FILE", "KERNEL_DATABASE_URL_FILE"])
    machine.env(**files, KERNEL_CHANNEL_TOKENS_FILE="x", KERNEL_DATABASE_URL_FILE="x")
    assert machine.run("up").returncode == 0
    assert "demo.env" not in machine.told


@pytest.mark.parametrize("secret", ["sk-1", ""])
def test_the_keys_in_env_are_closed_to_others_on_the_machine(machine: Machine, secret: str) -> None:
    machine.env(OPENAI_API_KEY=secret)
    (machine.folder / ".env").chmod(0o644)
    machine.run("up")
    assert (machine.folder / ".env").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("password", ["p@ss", "a/b", "a b", "a$b"])
def test_password_unfit_for_a_url_is_named_and_not_shown(machine: Machine, password: str) -> None:
    machine.env(**complete(POSTGRES_PASSWORD=password))
    done = machine.run("up")
    assert done.returncode == 2
    assert "POSTGRES_PASSWORD must be letters and digits" in done.stderr
    assert password not in done.stderr + done.stdout


@pytest.mark.parametrize("state", ["restarting ", "running unhealthy"])
def test_a_service_that_does_not_come_up_is_shown_with_its_last_lines(machine: Machine, state: str) -> None:
    machine.engine(f"postgres running healthy\nkernel_service {state}\nwhatsapp_gateway created \n", takes=30)
    done = machine.run("up")
    assert done.returncode == 1
    assert "The last lines of kernel_service:\na line of kernel_service" in done.stderr
    assert "a line of postgres" not in done.stderr
    assert "webhook:" not in done.stdout


def test_service_that_is_being_replaced_may_be_ending(machine: Machine) -> None:
    machine.env(**complete())
    machine.engine("postgres exited \nkernel_service running healthy\n", takes=3)
    (machine.folder / "engine").write_text(
        (machine.folder / "engine").read_text().replace("2>&1;", "2>&1; echo 'postgres running healthy' >states;")
    )
    assert machine.run("up").returncode == 0


def test_compose_is_asked_again_while_a_gateway_gets_its_kernel_service_back(machine: Machine) -> None:
    """Compose gives up at once on a container that was unhealthy before, and the next probe finds it healthy."""
    machine.engine(HEALTHY.replace("gateway running healthy", "gateway running unhealthy"), code=1)
    engine = (machine.folder / "engine").read_text()
    again = f"grep -q ' up ' before && echo '{HEALTHY.strip()}' >states; cp told before; sleep"
    (machine.folder / "engine").write_text(engine.replace(" sleep", f" {again}", 1))
    (machine.folder / "before").touch()
    done = machine.run("up", PATIENCE="30")
    assert done.returncode == 0, done.stderr
    assert machine.told.count(" up ") == 2


def test_each_old_container_ends_only_after_a_new_one_is_healthy(machine: Machine) -> None:
    machine.runs("one", "two", image="sha256:old")
    assert machine.run("up").returncode == 0
    steps = [line.removeprefix("--env-file deploy/demo.env ") for line in machine.told.splitlines()]
    steps = [line for line in steps if line.startswith(("up ", "stop ", "rm "))]
    more = "up --detach --wait --wait-timeout 300 --no-build --no-deps --no-recreate --scale"
    kernel, gateway = (f"{more} {name}=3 {name}" for name in ("kernel_service", "whatsapp_gateway"))
    ended = [["stop one", "rm one"], ["stop two", "rm two"]]
    assert steps[:-1] == [
        *(kernel, *ended[0], kernel, *ended[1]),
        *(gateway, *ended[0], gateway, *ended[1]),
    ]
    assert steps[-1] == "up --detach --wait --wait-timeout 300 --no-build --remove-orphans"


def test_current_containers_are_kept(machine: Machine) -> None:
    machine.runs("one", "two")
    assert machine.run("up").returncode == 0
    assert "stop" not in machine.told
    assert machine.told.count(" up ") == 1


def test_the_remains_of_a_failed_version_are_removed_first(machine: Machine) -> None:
    machine.runs("one", image="sha256:failed", health="unhealthy")
    assert machine.run("up").returncode == 0
    assert "rm --force one" in machine.told
    assert "--no-recreate" not in machine.told


def test_a_version_that_does_not_start_replaces_no_container(machine: Machine) -> None:
    machine.runs("one", image="sha256:old")
    machine.engine("kernel_service running healthy\nkernel_service restarting \n", takes=30)
    done = machine.run("up")
    assert done.returncode == 1
    assert "stop" not in machine.told
    assert "The last lines of kernel_service" in done.stderr


def test_a_failing_gateway_does_not_keep_the_kernel_services_from_being_replaced(machine: Machine) -> None:
    machine.runs("one", image="sha256:old")
    machine.engine("kernel_service running healthy\nwhatsapp_gateway restarting \n", takes=1)
    assert machine.run("up").returncode == 1
    assert "rm one" in machine.told
    assert "--scale whatsapp_gateway=2 whatsapp_gateway" in machine.told


@pytest.mark.parametrize("code", [0, 1])
@pytest.mark.parametrize("states", ["", "postgres running healthy\nkernel_service created \n"])
def test_failing_engine_fails_the_command(machine: Machine, states: str, code: int) -> None:
    machine.engine(states, code=code)
    done = machine.run("up")
    assert done.returncode == 1
    assert "webhook:" not in done.stdout


def test_down_ends_all_of_the_one_project_whatever_env_says_now(machine: Machine) -> None:
    machine.env(**complete())
    assert machine.run("down").returncode == 0
    assert machine.told == "--env-file .env --profile demo --profile tls --profile monitoring down --remove-orphans\n"


def test_unknown_command_prints_the_usage(machine: Machine) -> None:
    assert machine.run("sideways").returncode == 2
