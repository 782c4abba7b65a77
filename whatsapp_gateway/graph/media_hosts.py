"""Where files of WhatsApp's may lie: a list of hosts. Nothing is read from any other, whoever names it.

An address comes from WhatsApp's answer, or from a redirect: whoever gets one in could have us read what only this
machine reaches, or be sent the access token.
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
    """WhatsApp's own hosts, by https on its usual port, and whatever is served where the API is (an emulator)."""

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
    """Whether Meta owns the name, in lower case; an address by numbers is none."""
    return host in _HOSTS or host.endswith(_DOMAINS)


class PublicResolver(AbstractResolver):
    """Finds hosts as usual, but hosts of WhatsApp's only at public addresses: a forged DNS leads to nobody inside.

    The host of `api_url` is where the operator says, and so is a proxy.
    """

    def __init__(self, api_url: str, resolver: AbstractResolver | None = None) -> None:
        self._api_host = URL(api_url).host
        self._resolver = resolver or DefaultResolver()

    async def resolve(self, host: str, port: int = 0, family: AddressFamily = AF_INET) -> list[ResolveResult]:
        """OSError: it has no such address."""
        found = await self._resolver.resolve(host, port, family)
        if host == self._api_host or not is_of_whatsapp(host.lower()):
            return found
        public = [each for each in found if ip_address(each["host"].partition("%")[0]).is_global]
        if not public:
            raise OSError(None, "no public address")
        return public

    async def close(self) -> None:
        await self._resolver.close()
