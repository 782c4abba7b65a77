from pathlib import Path

import pytest

from local_run.plan import LocalRun, plan

REAL = {
    "OPENAI_API_KEY": "sk-real",
    "COMPOSIO_API_KEY": "ak_real",
    "WHATSAPP_ACCESS_TOKEN": "EAA-real",
    "WHATSAPP_APP_SECRET": "real-secret",
}


def planned(directory: Path, env_file: dict[str, str], environ: dict[str, str] | None = None) -> LocalRun:
    (directory / ".env").write_text("".join(f"{name}={value}\n" for name, value in env_file.items()))
    return plan(directory, environ or {})


def service(run: LocalRun, module: str) -> dict[str, str]:
    return next(service for service in run.services if service.module == module).environment


def test_without_keys_every_vendor_is_emulated_with_the_keys_that_the_emulator_expects(tmp_path: Path) -> None:
    run = planned(tmp_path, {})
    kernel, gateway = service(run, "kernel_service"), service(run, "whatsapp_gateway")
    emulators = service(run, "emulators")
    assert [vendor.name for vendor in run.emulated] == ["OpenAI", "Composio", "WhatsApp"]
    assert kernel["OPENAI_BASE_URL"] == "http://127.0.0.1:8090/openai/v1"
    assert kernel["COMPOSIO_BASE_URL"] == "http://127.0.0.1:8090/composio"
    assert gateway["WHATSAPP_API_BASE_URL"] == "http://127.0.0.1:8090/graph"
    assert kernel["OPENAI_API_KEY"] == emulators["OPENAI_API_KEY"]
    assert kernel["COMPOSIO_API_KEY"] == emulators["COMPOSIO_API_KEY"]
    assert gateway["WHATSAPP_APP_SECRET"] == emulators["WHATSAPP_APP_SECRET"]
    assert run.page_url == "http://127.0.0.1:8090/"


def test_time_can_pass_while_the_vendors_whose_times_count_are_emulated(tmp_path: Path) -> None:
    for real in ({}, {"OPENAI_API_KEY": "sk-real"}):
        run = planned(tmp_path, real)
        for module in ("kernel_service", "emulators"):
            assert service(run, module)["KERNEL_EMULATED_CLOCK"] == "var/clock"
        assert "KERNEL_EMULATED_CLOCK" not in service(run, "whatsapp_gateway")
    for name in ("COMPOSIO_API_KEY", "WHATSAPP_ACCESS_TOKEN"):
        run = planned(tmp_path, {name: REAL[name]})
        assert all("KERNEL_EMULATED_CLOCK" not in service(run, module) for module in ("kernel_service", "emulators"))


def test_with_every_key_no_emulator_runs_and_no_base_url_is_set(tmp_path: Path) -> None:
    run = planned(tmp_path, REAL)
    assert run.emulated == ()
    assert [service.module for service in run.services] == ["kernel_service", "whatsapp_gateway"]
    assert "EMULATORS_LISTEN" not in run.listens
    assert "OPENAI_BASE_URL" not in service(run, "kernel_service")
    assert run.webhook_url == "http://127.0.0.1:8080/webhook"


def test_each_process_is_told_its_own_secrets_only(tmp_path: Path) -> None:
    del (env_file := dict(REAL))["COMPOSIO_API_KEY"]
    run = planned(tmp_path, env_file)
    kernel, gateway = service(run, "kernel_service"), service(run, "whatsapp_gateway")
    emulators = service(run, "emulators")
    assert not {"WHATSAPP_ACCESS_TOKEN", "WHATSAPP_APP_SECRET", "KERNEL_TOKEN"} & kernel.keys()
    assert not {"OPENAI_API_KEY", "COMPOSIO_API_KEY", "KERNEL_ENCRYPTION_KEYS"} & gateway.keys()
    assert "KERNEL_ADMIN_TOKEN" not in gateway
    assert not {"sk-real", "EAA-real", "real-secret"} & set(emulators.values())
    assert not {"KERNEL_ENCRYPTION_KEYS", "KERNEL_TOKEN"} & emulators.keys()


def test_the_page_may_ask_what_the_gateway_may_while_its_phones_are_the_emulators(tmp_path: Path) -> None:
    run = planned(tmp_path, {})
    assert service(run, "emulators")["KERNEL_TOKEN"] == service(run, "whatsapp_gateway")["KERNEL_TOKEN"]
    run = planned(tmp_path, {"WHATSAPP_ACCESS_TOKEN": "EAA-real"})
    assert "KERNEL_TOKEN" not in service(run, "emulators")


def test_a_vendors_key_that_only_the_shell_exports_is_not_used(tmp_path: Path) -> None:
    run = planned(tmp_path, {}, {"OPENAI_API_KEY": "sk-shell", "OPENAI_ORG_ID": "org", "PATH": "/bin"})
    kernel = service(run, "kernel_service")
    assert kernel["OPENAI_API_KEY"] == "sk-emulated"
    assert "OPENAI_ORG_ID" not in kernel
    assert kernel["PATH"] == "/bin"


def test_the_environment_goes_before_the_file_for_our_own_settings(tmp_path: Path) -> None:
    run = planned(
        tmp_path,
        {"GATEWAY_LISTEN": "127.0.0.1:1111", "KERNEL_LISTEN": "0.0.0.0:2222", "MY_TOOLS_KEY": "k"},
        {"GATEWAY_LISTEN": "127.0.0.1:3333"},
    )
    assert run.listens["GATEWAY_LISTEN"] == "127.0.0.1:3333"
    assert run.webhook_url == "http://127.0.0.1:3333/webhook"
    assert service(run, "whatsapp_gateway")["KERNEL_ADDRESS"] == "dns:///127.0.0.1:2222"
    assert service(run, "kernel_service")["MY_TOOLS_KEY"] == "k"


def test_local_keys_are_made_once_for_their_owner_alone(tmp_path: Path) -> None:
    first, again = planned(tmp_path, {}), planned(tmp_path, {})
    keys = tmp_path / "var" / "keys.env"
    assert keys.stat().st_mode & 0o777 == 0o600
    assert service(first, "kernel_service") == service(again, "kernel_service")
    token = service(first, "whatsapp_gateway")["KERNEL_TOKEN"]
    assert service(first, "kernel_service")["KERNEL_CHANNEL_TOKENS"] == f"whatsapp={token}"


def test_local_keys_that_were_opened_are_closed_again(tmp_path: Path) -> None:
    planned(tmp_path, {})
    var = tmp_path / "var"
    keys = var / "keys.env"
    var.chmod(0o755)
    keys.chmod(0o644)
    planned(tmp_path, {})
    assert [path.stat().st_mode & 0o777 for path in (var, keys)] == [0o700, 0o600]


def test_tokens_of_other_channels_are_kept_with_the_gateways(tmp_path: Path) -> None:
    run = planned(tmp_path, {"KERNEL_CHANNEL_TOKENS": "telegram=t", "KERNEL_TOKEN": "w"})
    assert service(run, "kernel_service")["KERNEL_CHANNEL_TOKENS"] == "telegram=t,whatsapp=w"


def test_a_vendors_key_in_a_file_is_real_and_passed_on_as_its_name(tmp_path: Path) -> None:
    run = planned(tmp_path, {"OPENAI_API_KEY_FILE": "secrets/openai", "WHATSAPP_APP_SECRET_FILE": "secrets/app"})
    kernel, gateway = service(run, "kernel_service"), service(run, "whatsapp_gateway")
    assert [vendor.name for vendor in run.emulated] == ["Composio", "WhatsApp"]
    assert kernel["OPENAI_API_KEY_FILE"] == "secrets/openai"
    assert "OPENAI_API_KEY" not in kernel
    assert "WHATSAPP_APP_SECRET_FILE" not in gateway, "the emulator's own secret holds"


def test_secrets_in_files_replace_those_that_are_created(tmp_path: Path) -> None:
    contents = {"token": "t-of-a-file\n", "admin": "a-of-a-file", "channels": "telegram=x,whatsapp=t-of-a-file"}
    for name, content in contents.items():
        (tmp_path / name).write_text(content)
    run = planned(
        tmp_path,
        {
            "KERNEL_TOKEN_FILE": str(tmp_path / "token"),
            "KERNEL_ADMIN_TOKEN_FILE": str(tmp_path / "admin"),
            "KERNEL_CHANNEL_TOKENS_FILE": str(tmp_path / "channels"),
            "KERNEL_ENCRYPTION_KEYS_FILE": "secrets/keys",
        },
    )
    kernel, gateway = service(run, "kernel_service"), service(run, "whatsapp_gateway")
    assert kernel["KERNEL_CHANNEL_TOKENS"] == "telegram=x,whatsapp=t-of-a-file"
    assert kernel["KERNEL_ADMIN_TOKEN"] == service(run, "emulators")["KERNEL_ADMIN_TOKEN"] == "a-of-a-file"
    assert gateway["KERNEL_TOKEN"] == "t-of-a-file"
    assert kernel["KERNEL_ENCRYPTION_KEYS_FILE"] == "secrets/keys"
    assert "KERNEL_ENCRYPTION_KEYS" not in kernel
    assert not {name for name in gateway if name.endswith("_FILE")}


def test_a_file_without_a_secret_is_named_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^KERNEL_TOKEN cannot be taken .* KERNEL_TOKEN_FILE names: it is a folder"):
        planned(tmp_path, {"KERNEL_TOKEN_FILE": str(tmp_path)})


def test_only_the_page_of_emulated_phones_may_kill(tmp_path: Path) -> None:
    run = planned(tmp_path, {})
    assert [service.module for service in run.services if service.may_kill] == ["emulators"]
    assert not any(service.may_kill for service in planned(tmp_path, {"WHATSAPP_ACCESS_TOKEN": "EAA-real"}).services)


def test_the_demos_own_tool_is_there_while_the_model_and_the_phones_are_emulated(tmp_path: Path) -> None:
    assert service(planned(tmp_path, {}), "kernel_service")["KERNEL_TOOLS"] == "local_run.demo_tools:TOOLS"
    for env_file in ({"OPENAI_API_KEY": "sk-real"}, {"WHATSAPP_ACCESS_TOKEN": "EAA-real"}):
        assert "KERNEL_TOOLS" not in service(planned(tmp_path, env_file), "kernel_service")
    own = planned(tmp_path, {"KERNEL_TOOLS": "bot.tools:TOOLS"})
    assert service(own, "kernel_service")["KERNEL_TOOLS"] == "bot.tools:TOOLS"
