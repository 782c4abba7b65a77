"""An allowlist of hosts for WhatsApp's files. No other host is contacted.

A URL comes from WhatsApp's answer, or from a redirect. An attacker who controls one could make us read internal
addresses, or send them the access token.
"""

from ipaddress import ip_address
from socket import AF_INET, AddressFamily
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver
from yarl import URL

_HOSTS: Final = frozenset({"graph.facebook.com", "lookaside.fbsbx.com"})
_DOMAINS: Final = (".whatsapp.net", ".fbsbx.com", ".fbcdn.net")
_HTTPS_PORT: Final = 443


class MediaHosts:
    """WhatsApp's own hosts, by https on the default port, and the API's origin (an emulator)."""

    def __init__(self, base_url: str) -> None:
        self._api = URL(base_url).origin()

    def may_lead_to(self, url: URL) -> bool:
        """Whether a file may be read there, with the access token."""
        if url.user is not None or url.password is not None or not url.host:
            return False
        if url.scheme == self._api.scheme and url.origin() == self._api:
            return True
        return url.scheme == "https" and url.port == _HTTPS_PORT and is_of_whatsapp(url.host)


def is_of_whatsapp(host: str) -> bool:
    """Whether Meta owns the name, in lower case; a numeric address is never Meta's."""
    return host in _HOSTS or host.endswith(_DOMAINS)


class PublicResolver(AbstractResolver):
    """Resolves hosts as usual, but WhatsApp's hosts only to public addresses, so that forged DNS cannot lead inside.

    The operator chooses the host of `api_url` and the proxy, so those are exempt.
    """

    def __init__(self, api_url: str, resolver: AbstractResolver | None = None) -> None:
        self._api_host = URL(api_url).host
        self._resolver = resolver or DefaultResolver()

    async def resolve(self, host: str, port: int = 0, family: AddressFamily = AF_INET) -> list[ResolveResult]:
        """Raises `OSError` if there is no allowed address."""
        found = await self._resolver.resolve(host, port, family)
        if host == self._api_host or not is_of_whatsapp(host.lower()):
            return found
        public = [each for each in found if ip_address(each["host"].partition("%")[0]).is_global]
        if not public:
            raise OSError(None, "no public address")
        return public

    async def close(self) -> None:
        await self._resolver.close()
