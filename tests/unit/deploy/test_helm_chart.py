"""The Helm chart: what it renders is valid for Kubernetes, hardened, and takes settings that exist."""

from __future__ import annotations

import base64
import json
import re
import ssl
from typing import TYPE_CHECKING, Any

import kubernetes_validate
import pytest

from kernel_service.api import listener
from kernel_service.api.peers import PeerTls
from kernel_service.cluster import membership
from kernel_service.config import Settings as KernelSettings
from kernel_service.storage.engine import postgres_connections, postgres_notices
from serving import listening
from serving.secret_files import secret_fields
from tests.helm import CHART, USUAL, helm, rendered
from whatsapp_gateway.config import Settings as GatewaySettings

if TYPE_CHECKING:
    from pathlib import Path

OLDEST, NEWEST = "1.27", "1.37"
SECONDS_BESIDE_DRAIN = 30
EVERYTHING = {
    "otherChannels": True,
    "secretFiles": {"enabled": True, "optional": ["COMPOSIO_WEBHOOK_SECRET"]},
    "imagePullSecrets": [{"name": "registry"}],
    "ingress": {"enabled": True, "className": "nginx", "webhookHost": "wa.example.com", "tlsSecret": "web"},
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "networkPolicy": {
        "postgresql": {"to": [{"ipBlock": {"cidr": "10.0.0.5/32"}}], "ports": [6432, 5432]},
        "extraEgress": [{"ports": [{"port": 4317}]}],
    },
    **{
        service: {
            "settings": {"HTTPS_PROXY": "http://proxy.example.com:3128"},
            "podAnnotations": {"note": "1"},
            "nodeSelector": {"pool": "services"},
            "tolerations": [{"key": "pool", "operator": "Exists"}],
            "affinity": {"nodeAffinity": {}},
            "autoscaling": {
                "enabled": True,
                "extraMetrics": [
                    {
                        "type": "Pods",
                        "pods": {
                            "metric": {"name": "kernel_turn_queue"},
                            "target": {"type": "AverageValue", "averageValue": "1"},
                        },
                    }
                ],
            },
            "extraVolumes": [{"name": "tools", "configMap": {"name": "tools"}}],
            "extraVolumeMounts": [{"name": "tools", "mountPath": "/app/own"}],
        }
        for service in ("kernelService", "whatsappGateway")
    },
}
FEWEST: dict[str, Any] = {
    "tls": {},
    "networkPolicy": {"enabled": False},
    "kernelService": {"replicas": 1, "settings": None},
}
OWN_PAIR: dict[str, Any] = {"tls": {}}
SERVICES: dict[str, type[KernelSettings | GatewaySettings]] = {
    "kernel-service": KernelSettings,
    "whatsapp-gateway": GatewaySettings,
}


def by_kind(kind: str, values: dict[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    """Each object of the kind by the last words of its name."""
    return {
        each["metadata"]["name"].removeprefix("release-kernel-per-person").removeprefix("-"): each
        for each in rendered(values)
        if each["kind"] == kind
    }


def pod(deployment: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return spec


def environment(deployment: dict[str, Any]) -> dict[str, dict[str, Any]]:
    [container] = pod(deployment)["containers"]
    assert len({each["name"] for each in container["env"]}) == len(container["env"])
    return {each["name"]: each for each in container["env"]}


@pytest.mark.parametrize("values", [{}, EVERYTHING, FEWEST], ids=["usual", "everything", "fewest"])
def test_each_object_is_valid_for_the_oldest_and_the_newest_kubernetes(values: dict[str, Any]) -> None:
    objects = rendered(values)
    kinds = {each["kind"] for each in objects}
    assert {"Deployment", "Service", "PodDisruptionBudget", "ServiceAccount"} <= kinds
    for version in (OLDEST, NEWEST):
        for each in objects:
            if each["kind"] != "ServiceMonitor":  # the operator's own kind has no schema here
                kubernetes_validate.validate(each, version, strict=True)


def test_helm_finds_no_fault() -> None:
    done = helm("lint", "--strict")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("service", SERVICES)
def test_pods_are_as_hardened_as_the_containers_of_compose(service: str) -> None:
    spec = pod(by_kind("Deployment")[service])
    [container] = spec["containers"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == 10001
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"cpu", "memory"} <= container["resources"]["limits"].keys()
    assert container["command"][2] == "serving.supervise", "it kills a service that hangs"


def test_only_the_kernel_service_has_its_key() -> None:
    volumes = {name: pod(each)["volumes"][0]["secret"] for name, each in by_kind("Deployment").items()}
    assert "items" not in volumes["kernel-service"]
    assert [each["key"] for each in volumes["whatsapp-gateway"]["items"]] == ["ca.crt"]


@pytest.mark.parametrize(("drain", "seconds"), [(None, 50), (20, 50), (300, 330), (0.5, 31)])
def test_a_pod_may_drain_before_it_is_killed(drain: float | None, seconds: int) -> None:
    values = {"kernelService": {"settings": {} if drain is None else {"KERNEL_DRAIN_SECONDS": drain}}}
    spec = pod(by_kind("Deployment", values)["kernel-service"])
    assert spec["terminationGracePeriodSeconds"] == seconds


def test_the_other_parts_end_in_the_time_beside_the_drain() -> None:
    """The pages, the metrics, the open calls, then the node's row, the commits, the connections and the notices."""
    listeners = 2 * listening.SHUTDOWN_SECONDS + listener.STOP_SECONDS
    database = 2 * postgres_connections.CLOSE_SECONDS + postgres_notices.ANSWER_SECONDS
    assert listeners + 2 * membership.ANSWER_SECONDS + database <= SECONDS_BESIDE_DRAIN


def test_a_new_version_comes_one_pod_at_a_time_and_none_is_missing() -> None:
    for deployment in by_kind("Deployment").values():
        assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert {each["spec"]["maxUnavailable"] for each in by_kind("PodDisruptionBudget").values()} == {1}


def test_an_autoscaled_deployment_states_no_number() -> None:
    assert all("replicas" in each["spec"] for each in by_kind("Deployment").values())
    assert not any("replicas" in each["spec"] for each in by_kind("Deployment", EVERYTHING).values())
    assert by_kind("HorizontalPodAutoscaler", EVERYTHING).keys() == SERVICES.keys()


@pytest.mark.parametrize("service", SERVICES)
def test_each_object_selects_the_pods_of_its_service(service: str) -> None:
    objects = rendered()
    [labels] = (
        each["spec"]["template"]["metadata"]["labels"]
        for each in objects
        if each["kind"] == "Deployment" and each["metadata"]["name"].endswith(service)
    )
    selectors = [
        *(each["spec"]["selector"]["matchLabels"] for each in objects if each["kind"] == "PodDisruptionBudget"),
        *(each["spec"]["selector"] for each in objects if each["kind"] == "Service"),
        *(each["spec"]["podSelector"]["matchLabels"] for each in objects if each["kind"] == "NetworkPolicy"),
    ]
    assert {each["app.kubernetes.io/component"] for each in selectors} == SERVICES.keys()
    for selector in selectors:
        assert (selector.items() <= labels.items()) == (selector["app.kubernetes.io/component"] == service)


def test_the_gateway_reaches_every_kernel_service_by_the_name_in_their_certificate(tmp_path: Path) -> None:
    address = environment(by_kind("Deployment", OWN_PAIR)["whatsapp-gateway"])["KERNEL_ADDRESS"]["value"]
    name, port = re.fullmatch(r"dns:///(.+):(\d+)", address or "").groups()  # type: ignore[union-attr]
    nodes = by_kind("Service", OWN_PAIR)["nodes"]
    assert name == nodes["metadata"]["name"]
    assert nodes["spec"]["clusterIP"] == "None"
    assert int(port) in {each["port"] for each in nodes["spec"]["ports"]}
    pair = {key: base64.b64decode(value) for key, value in by_kind("Secret", OWN_PAIR)["tls"]["data"].items()}
    for key, content in pair.items():
        (tmp_path / key).write_bytes(content)
    ssl.create_default_context(cafile=tmp_path / "ca.crt").load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    assert PeerTls.of(pair["tls.crt"], pair["ca.crt"]).name == name


def test_no_secret_is_written_into_a_pod() -> None:
    secret = re.compile("TOKEN$|SECRET$|_KEYS?$|_URL$|PASSWORD")
    for deployment in by_kind("Deployment").values():
        for name, each in environment(deployment).items():
            if secret.search(name) and name not in {"CONNECT_PUBLIC_URL", "KERNEL_TLS_KEY"}:
                assert each["valueFrom"]["secretKeyRef"]["name"] == USUAL["existingSecret"], name


def test_other_channels_tokens_join_the_gateways_own() -> None:
    given = environment(by_kind("Deployment", {"otherChannels": True})["kernel-service"])
    assert given["KERNEL_CHANNEL_TOKENS"]["value"] == "whatsapp=$(KERNEL_TOKEN),$(OTHER_CHANNEL_TOKENS)"
    assert given["OTHER_CHANNEL_TOKENS"]["valueFrom"]["secretKeyRef"]["key"] == "KERNEL_CHANNEL_TOKENS"


@pytest.mark.parametrize("service", SERVICES)
def test_as_files_the_secrets_are_mounted_and_not_in_the_environment(service: str) -> None:
    optional = {"COMPOSIO_WEBHOOK_SECRET", "KERNEL_DATABASE_DIRECT_URL", "OPENAI_TRANSCRIBE_API_KEY"}
    secrets = {name.upper() for name in secret_fields(SERVICES[service])}
    for given in (optional, set[str]()):
        values = {"secretFiles": {"enabled": True, "optional": sorted(given)}}
        deployment = by_kind("Deployment", values)[service]
        wanted = secrets - (optional - given)
        environ = environment(deployment)
        assert not environ.keys() & (secrets | {"KERNEL_TOKEN"})
        assert {name for name in environ if name.endswith("_FILE")} == {f"{name}_FILE" for name in wanted}
        [mounted] = [each["secret"] for each in pod(deployment)["volumes"] if each["name"] == "secrets"]
        assert mounted["secretName"] == USUAL["existingSecret"]
        assert mounted["defaultMode"] == 0o440
        [folder] = [each["mountPath"] for each in pod(deployment)["containers"][0]["volumeMounts"][2:]]
        assert {f"{each['key']}_FILE": f"{folder}/{each['path']}" for each in mounted["items"]} == {
            name: each["value"] for name, each in environ.items() if name.endswith("_FILE")
        }


@pytest.mark.parametrize("service", SERVICES)
def test_every_setting_has_one_place(service: str) -> None:
    """The chart's own, the Secret's, or `settings`: values.schema.json lists the last. None is for development."""
    value = {"kernel-service": "kernelService", "whatsapp-gateway": "whatsappGateway"}[service]
    deployment = by_kind("Deployment", {value: {"settings": None}})[service]
    schema = json.loads((CHART / "values.schema.json").read_text())
    listed = schema["properties"][value]["properties"]["settings"]["propertyNames"]["enum"]
    known = {name.upper() for name in SERVICES[service].model_fields}
    assert environment(deployment).keys() - {"POD_IP"} <= known | {"KERNEL_TOKEN"}
    proxies = {"HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"}
    for_development = {"KERNEL_EMULATED_CLOCK"}
    assert listed == sorted((known - environment(deployment).keys() - for_development) | proxies)


@pytest.mark.parametrize(
    ("value", "written"),
    [(1000000, "1000000"), (0.25, "0.25"), (True, "true"), ("asana,gmail", "asana,gmail"), ('a"b', 'a"b')],
)
def test_a_setting_reaches_the_service_as_it_is_written(value: object, written: str) -> None:
    values = {"kernelService": {"settings": {"KERNEL_DAILY_TOKENS": value}}}
    assert environment(by_kind("Deployment", values)["kernel-service"])["KERNEL_DAILY_TOKENS"]["value"] == written


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"image": {"repository": ""}}, "/image/repository"),
        ({"existingSecret": ""}, "/existingSecret"),
        ({"connectPublicUrl": "http://connect.example.com"}, "/connectPublicUrl"),
        ({"connectPublicUrl": "https://connect.example.com/pages"}, "/connectPublicUrl"),
        ({"kernelService": {"settings": {"KERNEL_MAX_TURN": 3}}}, "KERNEL_MAX_TURN"),
        ({"kernelService": {"settings": {"OPENAI_API_KEY": "sk-…"}}}, "OPENAI_API_KEY"),
        ({"whatsappGateway": {"replicas": 0}}, "/whatsappGateway/replicas"),
        ({"whatsappGateway": {"replica": 2}}, "replica"),
        ({"ingress": {"enabled": True}}, "/ingress/webhookHost"),
        ({"secretFiles": {"optional": ["OPENAI_API_KEY"]}}, "/secretFiles/optional/0"),
        ({"image": {"repository": "x", "digest": "latest"}}, "/image/digest"),
        ({"networkPolicy": {"vendors": {"to": []}}}, "/networkPolicy/vendors/to"),
        ({"networkPolicy": {"postgresql": {"ports": []}}}, "/networkPolicy/postgresql/ports"),
    ],
)
def test_a_wrong_value_is_named(values: dict[str, Any], named: str) -> None:
    done = helm("template", values=values)
    assert done.returncode
    assert named in done.stderr


def test_image_by_digest() -> None:
    digest = f"sha256:{'a' * 64}"
    values = {"image": {"repository": "registry.example.com/kpp", "tag": "1.0", "digest": digest}}
    [container] = pod(by_kind("Deployment", values)["kernel-service"])["containers"]
    assert container["image"] == f"registry.example.com/kpp@{digest}"


def test_no_other_pod_may_connect() -> None:
    """Each rule of ingress names whom it lets in: one without `from` would let in everybody."""
    for policy in by_kind("NetworkPolicy").values():
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
        assert all(rule["from"] and rule["ports"] for rule in policy["spec"]["ingress"])
    without: dict[str, Any] = {"networkPolicy": {"ingressController": [], "monitoring": []}}
    closed = by_kind("NetworkPolicy", without)
    assert "ingress" not in closed["whatsapp-gateway"]["spec"]
    assert [rule["ports"] for rule in closed["kernel-service"]["spec"]["ingress"]] == [[{"port": "grpc"}]]


@pytest.mark.parametrize("ports", [[5432], [6432, 5432]])
def test_a_kernel_service_reaches_the_pooler_and_the_server_behind_it(ports: list[int]) -> None:
    policy = by_kind("NetworkPolicy", {"networkPolicy": {"postgresql": {"ports": ports}}})["kernel-service"]
    assert [{"port": port} for port in ports] in [rule["ports"] for rule in policy["spec"]["egress"]]
