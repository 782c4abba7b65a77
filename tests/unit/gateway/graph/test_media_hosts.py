"""The addresses to which WhatsApp's host names may resolve."""

from socket import AF_INET, AddressFamily

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from whatsapp_gateway.graph.media_hosts import PublicResolver


class Dns(AbstractResolver):
    def __init__(self, *addresses: str) -> None:
        self._addresses = addresses

    async def resolve(self, host: str, port: int = 0, family: AddressFamily = AF_INET) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
            for address in self._addresses
        ]

    async def close(self) -> None: ...


async def found(host: str, *addresses: str, api: str = "https://graph.facebook.com") -> list[str]:
    return [each["host"] for each in await PublicResolver(api, Dns(*addresses)).resolve(host, 443)]


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "::1", "fe80::1%eth0"],
)
async def test_whatsapps_hosts_do_not_resolve_to_private_addresses(address: str) -> None:
    with pytest.raises(OSError, match="no public address"):
        await found("lookaside.fbsbx.com", address)
    assert await found("LOOKASIDE.fbsbx.com", address, "157.240.0.1") == ["157.240.0.1"]


async def test_the_api_and_a_proxy_resolve_as_configured() -> None:
    assert await found("emulators", "172.18.0.2", api="http://emulators:8090/graph") == ["172.18.0.2"]
    assert await found("graph.facebook.com", "10.0.0.9") == ["10.0.0.9"]
    assert await found("proxy.corp", "10.0.0.3") == ["10.0.0.3"]
