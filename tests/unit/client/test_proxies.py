"""Which proxy a request uses."""

import pytest

from upload_tui.client import proxy_for
from upload_tui.errors import UnreachableError

PROXY = "http://user:s3cret@proxy.test:3128"


def found(url: str, monkeypatch: pytest.MonkeyPatch, **variables: str) -> str | None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    proxy = proxy_for(url)
    return None if proxy is None else proxy.source


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "LOCALHOST", "localhost.", "a.localhost", "127.0.0.1", "127.9.9.9", "127.1", "0x7f.1", "2130706433"),
        *("0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]"),
    ],
)  # fmt: skip
def test_loopback_is_never_proxied(scheme: str, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"{scheme}://{host}:8902"
    assert found(url, monkeypatch, HTTP_PROXY=PROXY, HTTPS_PROXY=PROXY, ALL_PROXY=PROXY) is None


@pytest.mark.parametrize("host", ["localhost.example", "127.example", "127.0.0.1.example", "[::ffff:10.0.0.1]", "10.1"])
def test_other_hosts_are_proxied(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(f"http://{host}:8902", monkeypatch, HTTP_PROXY=PROXY) == "HTTP_PROXY"


@pytest.mark.parametrize(
    ("url", "variable", "source"),
    [
        ("https://dds.test", "HTTPS_PROXY", "HTTPS_PROXY"),
        ("https://dds.test", "https_proxy", "https_proxy"),
        ("https://dds.test", "ALL_PROXY", "ALL_PROXY"),
        ("https://dds.test", "HTTP_PROXY", None),
        ("http://dds.test", "HTTP_PROXY", "HTTP_PROXY"),
        ("http://dds.test", "HTTPS_PROXY", None),
    ],
)
def test_the_scheme_selects_the_variable(
    url: str, variable: str, source: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert found(url, monkeypatch, **{variable: PROXY}) == source


@pytest.mark.parametrize(
    ("url", "exemptions", "is_exempt"),
    [
        ("https://dds.test", "dds.test", True),
        ("https://a.dds.test", ".dds.test", True),
        ("https://a.dds.test", "*.dds.test", True),
        ("https://A.dds.test", "x, *.TEST", True),
        ("https://adds.test", "*.dds.test", False),
        ("https://dds.test:8443", "dds.test:8443", True),
        ("https://dds.test:8443", "dds.test:443", False),
        ("https://dds.test", "other.test", False),
        ("https://dds.test", "*", True),
        ("https://10.1.2.3", "10.0.0.0/8", True),
        ("https://11.1.2.3", "10.0.0.0/8", False),
        ("https://[fd00::5]", "fd00::/8", True),
        ("https://[fe80::5]", "fd00::/8", False),
        ("https://dds.test", "fd00::/8, [::1], dds.test", True),
    ],
)
def test_no_proxy_names_hosts_domains_ports_and_networks(
    url: str, exemptions: str, is_exempt: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (found(url, monkeypatch, HTTPS_PROXY=PROXY, NO_PROXY=exemptions) is None) == is_exempt


@pytest.mark.parametrize(
    "value", ["gopher://s3cret@proxy.test", "http://bob:s3cret/x@proxy.test", "http://s3cret@[bad", "http://"]
)
def test_an_invalid_proxy_is_an_error_without_its_value(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnreachableError) as caught:
        found("https://dds.test", monkeypatch, HTTPS_PROXY=value)
    assert caught.value.title == "HTTPS_PROXY is not the URL of a proxy"
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_the_password_of_a_proxy_is_not_in_its_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    proxy = proxy_for("https://dds.test")
    assert proxy is not None
    assert proxy.url == PROXY
    assert "s3cret" not in repr(proxy) + str(proxy.address)


def test_a_socks_proxy_needs_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("upload_tui.client.probes.find_spec", lambda _: None)
    with pytest.raises(UnreachableError, match=r"^The proxy proxy.test:1080 of ALL_PROXY uses SOCKS") as caught:
        found("https://dds.test", monkeypatch, ALL_PROXY="socks5://bob:s3cret@proxy.test:1080")
    assert "socksio" in caught.value.title
