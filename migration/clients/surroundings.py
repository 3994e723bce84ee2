"""Proxy and certificates, from the variables that curl and httpx read. A wrong one is named, not guessed at.

HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY (in lower case too, which wins); SSL_CERT_FILE, SSL_CERT_DIR and
SSLKEYLOGFILE. This machine's own addresses never go through a proxy. https://www.python-httpx.org/environment_variables/
"""

from __future__ import annotations

import ipaddress
import os
import ssl
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from migration.base.command import Do
from migration.base.errors import Refused
from migration.config.builder import loopback

_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")


def proxy(url: str) -> str | None:
    """The proxy for an address, None for a direct connection. Refused for one that cannot be used."""
    configured = _proxy(url)
    if configured is None:
        return None
    name, value = configured
    address = value if "://" in value else f"http://{value}"
    scheme = address.partition("://")[0].lower()
    if scheme.startswith("socks"):
        text = f"{name} names a SOCKS proxy ({scheme}://…), which Cutover cannot use: nothing was sent"
        raise Refused(text, Do(f"set HTTPS_PROXY to an HTTP proxy, or unset {name}"))
    if scheme not in ("http", "https") or not _complete(address):
        text = f"{name} is not the address of a proxy: nothing was sent"
        raise Refused(text, Do(f"set {name} to an address such as http://proxy.example.com:3128, or unset it"))
    return address


def _complete(address: str) -> bool:
    """Whether it has a host, and a port that exists if any."""
    try:
        parts = urlsplit(address)
        return bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def suspects(url: str, why: str) -> list[str]:
    """The variables that may be the cause of a failure to reach an address."""
    address = _proxy(url)
    names = [address[0]] if address else []
    if "certificate" in why.lower():
        names += [name for name in _CERTIFICATES[:2] if os.environ.get(name)]
    return names


def trust(plain: bool) -> ssl.SSLContext:
    """The certificate authorities; none for a service without TLS. Refused where a variable names a wrong file."""
    if plain:
        return _nothing()
    return _authorities(tuple(os.environ.get(name, "") for name in _CERTIFICATES))


@cache
def _nothing() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@cache
def _authorities(variables: tuple[str, ...]) -> ssl.SSLContext:
    """One for all clients, since reading the authorities takes long."""
    file, folder, _ = variables
    if folder and not file and not Path(folder).is_dir():
        raise _unreadable("SSL_CERT_DIR", "is not a folder")
    try:
        if file or folder:
            return ssl.create_default_context(cafile=file or None, capath=None if file else folder)
        import certifi

        return ssl.create_default_context(cafile=certifi.where())
    except OSError as error:
        if _loads(file):
            raise _unreadable("SSLKEYLOGFILE", error.strerror or str(error)) from None
        raise _unreadable("SSL_CERT_FILE", "no certificate in PEM form can be read from it") from None


def _loads(file: str) -> bool:
    """Whether certificates can be read from a file; true without one."""
    if not file:
        return True
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=file)
    except OSError:
        return False
    return True


def _unreadable(name: str, why: str) -> Refused:
    text = f"{name} ({os.environ.get(name, '')}) cannot be used: {why}. Nothing was sent."
    return Refused(text, Do(f"correct {name}, or unset it"))


def _proxy(url: str) -> tuple[str, str] | None:
    """The variable that decides for an address, and its value."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    if loopback(host) or _excluded(host, parts.port or (80 if parts.scheme == "http" else 443)):
        return None
    for name in (f"{parts.scheme}_proxy", "all_proxy"):
        for variable in (name, name.upper()):
            value = os.environ.get(variable, "").strip()
            if value:
                return variable, value
    return None


def _excluded(host: str, port: int) -> bool:
    """Whether NO_PROXY names the host: a name and all below it, an address, a network, `*`, each with a port or not."""
    names = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    return any(_names(entry.strip().lower(), host.lower(), port) for entry in names.split(","))


def _names(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    bare, wanted = _split(entry)
    if not bare or (wanted and wanted != str(port)):
        return False
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(bare, strict=False)
    except ValueError:
        name = bare.removeprefix("*").lstrip(".")
        return bool(name) and (host == name or host.endswith(f".{name}"))


def _split(entry: str) -> tuple[str, str]:
    """Host and port of an entry; brackets around an IPv6 address are not part of it."""
    entry = entry.partition("://")[2] or entry
    if entry.startswith("["):
        host, _, rest = entry[1:].partition("]")
        return host, rest.removeprefix(":")
    host, colon, port = entry.rpartition(":")
    return (host, port) if colon and port.isdecimal() and ":" not in host else (entry, "")
