"""Every variable that decides how a service is reached: a wrong one is named, and loopback has no proxy."""

from __future__ import annotations

import pytest

from migration.base.errors import Refused, ServiceFailed
from migration.clients import surroundings
from migration.clients.http import Http

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*PROXIES, "SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize(
    "variables,url,expected",
    [
        ({}, "https://a.example", None),
        ({"HTTPS_PROXY": "http://p:1"}, "https://a.example", "http://p:1"),
        ({"https_proxy": "http://low:1", "HTTPS_PROXY": "http://up:1"}, "https://a.example", "http://low:1"),
        ({"HTTP_PROXY": "http://p:1"}, "https://a.example", None),
        ({"ALL_PROXY": "p.example:3128"}, "https://a.example", "http://p.example:3128"),
        ({"HTTPS_PROXY": "  "}, "https://a.example", None),
        *(({"HTTP_PROXY": "http://p:1", "ALL_PROXY": "http://p:1"}, url, None) for url in
          ("http://localhost:54321", "http://127.0.0.1:1", "http://[::1]:1", "http://x.localhost:1")),
        *(({"ALL_PROXY": "http://p:1", "NO_PROXY": no}, url, None) for no, url in (
            ("*", "https://a.example"), ("a.example", "https://a.example"), (".example", "https://a.example"),
            ("x, *.example ", "https://a.example"), ("example", "https://a.example"), ("a.example:443", "https://a.example"),
            ("10.0.0.0/8", "https://10.1.2.3"), ("[2001:db8::1]", "https://[2001:db8::1]"), ("2001:db8::/32", "https://[2001:db8::1]"),
            ("[2001:db8::1]:443", "https://[2001:db8::1]"), ("https://a.example", "https://a.example"), ("A.EXAMPLE", "https://a.example"))),
        *(({"ALL_PROXY": "http://p:1", "NO_PROXY": no}, "https://a.example", "http://p:1") for no in (
            "[::1]", "b.example", "a.example:80", "ample", ",,", "[", "]:", "10.0.0.0/99", "://", "*.")),
    ],
)  # fmt: skip
def test_the_proxy_of_an_address(
    variables: dict[str, str], url: str, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As curl and httpx read them; an entry of NO_PROXY that means nothing harms nothing."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert surroundings.proxy(url) == expected


@pytest.mark.parametrize(
    "name,value",
    [("ALL_PROXY", "socks5://p:1080"), ("https_proxy", "socks5h://u:pw@p:1"), ("HTTPS_PROXY", "ftp://p"),
     ("HTTPS_PROXY", "http://p:99999"), ("HTTPS_PROXY", "http://p:x"), ("ALL_PROXY", "http://"), ("ALL_PROXY", "http://[::1")],
)  # fmt: skip
def test_wrong_proxy_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused before anything is sent, without the password in it."""
    monkeypatch.setenv(name, value)
    with pytest.raises(Refused, match=rf"^{name} ") as caught:
        Http("https://a.example").request("GET", "/")
    assert "pw" not in caught.value.message + caught.value.hint


def test_dead_proxy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with pytest.raises(ServiceFailed, match="HTTPS_PROXY is set"):
        Http("https://a.example", deadline=5).request("GET", "/")


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"])
def test_wrong_certificates_are_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "/nowhere/at/all")
    with pytest.raises(Refused, match=rf"^{name} \(/nowhere/at/all\) cannot be used"):
        Http("https://127.0.0.1:9").request("GET", "/")


def test_untrusted_certificate_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/some/file.pem")
    assert surroundings.suspects("https://a.example", "certificate verify failed") == ["SSL_CERT_FILE"]
    assert surroundings.suspects("https://a.example", "connection refused") == []
