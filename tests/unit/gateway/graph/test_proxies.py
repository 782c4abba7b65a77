"""The proxy for an address, by the environment."""

import pytest
from yarl import URL

from whatsapp_gateway.graph.proxies import Proxies

PROXY = "http://proxy:3128"
GRAPH = "https://graph.facebook.com/v26.0/1/messages"


@pytest.mark.parametrize(
    ("environ", "url", "proxy"),
    [
        ({}, GRAPH, None),
        ({"https_proxy": PROXY}, GRAPH, PROXY),
        ({"HTTPS_PROXY": PROXY}, GRAPH, PROXY),
        ({"https_proxy": "proxy:3128"}, GRAPH, PROXY),
        ({"https_proxy": PROXY, "HTTPS_PROXY": "http://other:1"}, GRAPH, PROXY),
        ({"https_proxy": "http://clerk:secret@proxy:3128"}, GRAPH, "http://clerk:secret@proxy:3128"),
        ({"http_proxy": PROXY}, GRAPH, None),
        ({"http_proxy": PROXY}, "http://emulators:8090/graph", PROXY),
        ({"all_proxy": PROXY}, GRAPH, PROXY),
        ({"all_proxy": "http://other:1", "https_proxy": PROXY}, GRAPH, PROXY),
        ({"https_proxy": PROXY, "no_proxy": "*"}, GRAPH, None),
        ({"https_proxy": PROXY, "no_proxy": "graph.facebook.com"}, GRAPH, None),
        ({"https_proxy": PROXY, "NO_PROXY": "localhost, FACEBOOK.com"}, GRAPH, None),
        ({"https_proxy": PROXY, "no_proxy": ".facebook.com"}, GRAPH, None),
        ({"https_proxy": PROXY, "no_proxy": "*.facebook.com"}, GRAPH, None),
        ({"https_proxy": PROXY, "no_proxy": "graph.facebook.com:443"}, GRAPH, None),
        ({"https_proxy": PROXY, "no_proxy": "graph.facebook.com:8443"}, GRAPH, PROXY),
        ({"https_proxy": PROXY, "no_proxy": "book.com,face"}, GRAPH, PROXY),
        ({"http_proxy": PROXY, "no_proxy": "127.0.0.1,::1"}, "http://127.0.0.1:8090/graph", None),
        ({"http_proxy": PROXY, "no_proxy": "127.0.0.1,::1"}, "http://[::1]:8090/graph", None),
        ({"https_proxy": "  "}, GRAPH, None),
    ],
)
def test_the_proxy_of_an_address(environ: dict[str, str], url: str, proxy: str | None) -> None:
    proxies = Proxies(environ)
    expected = URL(proxy) if proxy else None
    assert (proxies.of(URL(url)), proxies.of(URL(url))) == (expected, expected)


@pytest.mark.parametrize("name", ["https_proxy", "HTTP_PROXY", "all_proxy"])
@pytest.mark.parametrize("value", ["socks5://u:secret@p:1", "https://u:secret@p:1", "http://", "http://secret:port"])
def test_an_unusable_proxy_is_named_without_its_value(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"{name.lower()} must be a proxy") as refused:
        Proxies({name: value})
    assert "secret" not in str(refused.value)


def test_the_cache_of_hosts_is_bounded() -> None:
    proxies = Proxies({"https_proxy": PROXY})
    for number in range(3000):
        assert proxies.of(URL(f"https://host-{number}.fbcdn.net/x")) == URL(PROXY)
    assert len(proxies._known) <= 1001
