"""Remote imports that this network does not reach, and what a rehearsal takes in their place.

The same package from npm where npm has it under the same name; else a skeleton with the exports that are imported.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from migration.setup.adoption import code
from migration.setup.adoption.app import App, map_entries
from migration.source import deno

_SECONDS = 20
_STD_LISTENER = re.compile(r"https://deno\.land/std(?:@[\w.-]+)?/http/server\.ts")  # the sandbox has its own
_PACKAGE = r"(?P<name>(?:@[\w.-]+/)?[\w.-]+)(?:@(?P<version>[^/?]+))?(?P<inner>/[^?]*)?"
# Addresses that serve npm packages: https://esm.sh/, https://www.jsdelivr.com/esm, https://www.skypack.dev, https://unpkg.com
_MIRRORS = re.compile(
    rf"https://(?:esm\.sh/(?:v\d+/|stable/)?|cdn\.jsdelivr\.net/npm/|cdn\.skypack\.dev/|unpkg\.com/)(?:npm:)?{_PACKAGE}.*"
)
_SAME_ON_NPM = re.compile(rf"jsr:/?(?=@supabase/){_PACKAGE}")
Reach = Callable[[str], bool]


@dataclass(frozen=True)
class Needed:
    """A remote module by its full address: the names taken from it, and where it is imported first."""

    address: str
    names: tuple[str, ...]
    place: str
    types_only: bool


@dataclass(frozen=True)
class Replacement:
    """What stands in for an address: a package of npm, or a skeleton whose `text` goes to `file`."""

    needed: Needed
    target: str
    file: str = ""
    text: str = ""


def needed(app: App, slugs: Iterable[str]) -> list[Needed]:
    """Every remote module that the functions import, resolved by their import maps."""
    imports: dict[str, Needed] = {}
    for slug in slugs:
        entries = map_entries(app, slug)
        for file, text in app.files(slug):
            for each in code.imports(file, text):
                address = resolved(each.address, entries)
                if code.remote(address) and not _STD_LISTENER.fullmatch(address):
                    known = imports.get(address)
                    names = tuple(dict.fromkeys((*(known.names if known else ()), *each.names)))
                    typed = each.types_only and (known is None or known.types_only)
                    imports[address] = Needed(address, names, known.place if known else f"{file}:{each.line}", typed)
    return list(imports.values())


def resolved(written: str, entries: Mapping[str, str]) -> str:
    """The address that an import map gives a specifier; the longest key that fits wins."""
    if written in entries:
        return entries[written]
    fits = [key for key in entries if key.endswith("/") and written.startswith(key)]
    key = max(fits, key=len, default="")
    return entries[key] + written[len(key) :] if key else written


def replacements(wanted: Iterable[Needed], reach: Reach) -> list[Replacement]:
    """For those that are out of reach. Hosts are asked at the same time; one that is out of reach is asked once."""
    wanted = list(wanted)
    firsts = {_host(each.address): each.address for each in reversed(wanted)}
    with ThreadPoolExecutor(4) as pool:
        answers = dict(zip(firsts, pool.map(reach, firsts.values()), strict=True))
        lost = [each for each in wanted if not answers[_host(each.address)]]
        rest = [each for each in wanted if answers[_host(each.address)] and firsts[_host(each.address)] != each.address]
        lost += [
            each
            for each, there in zip(rest, pool.map(lambda each: reach(each.address), rest), strict=True)
            if not there
        ]
        other = {each: npm(each.address) for each in lost}
        there = dict(zip(other, pool.map(lambda target: bool(target) and reach(target), other.values()), strict=True))
    return [Replacement(each, other[each]) if there[each] else _skeleton(each) for each in lost]


def npm(address: str) -> str:
    """The same module as a package of npm; empty where that is not certain."""
    match = _MIRRORS.fullmatch(address) or _SAME_ON_NPM.fullmatch(address)
    if not match or match["name"].startswith("gh"):
        return ""
    inner = re.sub(r"/(?:es20\d\d|esnext|dist|denonext)(?:/.*)?$", "", match["inner"] or "")
    return (
        f"npm:{match['name']}"
        + (f"@{match['version']}" if match["version"] else "")
        + ("" if inner.endswith((".ts", ".js", ".mjs")) else inner)
    )


def package(written: str) -> str:
    """The package that a specifier names, its version left out: `npm:`, a mirror of npm, a bare name; else empty."""
    match = _MIRRORS.fullmatch(written) or re.match(rf"(?:npm:/?)?(?![a-z]+:|[./]){_PACKAGE}", written)
    return match["name"] if match else ""


def reach(cache: Path) -> Reach:
    """Asks Deno, which keeps what it fetches in `cache`: the sandbox's own, so that nothing is fetched twice."""

    def one(address: str) -> bool:
        command = [deno.executable(), "info", "--json", "--no-config", "--no-lock", "--allow-import", address]
        try:
            done = subprocess.run(
                command, env=deno.environment(cache), cwd=cache.parent, stdin=subprocess.DEVNULL, capture_output=True,
                text=True, timeout=_SECONDS, check=False,
            )  # fmt: skip
            report = json.loads(done.stdout) if done.returncode == 0 else {}
        except (subprocess.TimeoutExpired, ValueError):
            return False
        modules = report.get("modules") or []
        return bool(modules) and not any("error" in module for module in modules)

    cache.mkdir(parents=True, exist_ok=True)
    return one


def _host(address: str) -> str:
    parts = urlsplit(address)
    return parts.hostname or parts.scheme


def _skeleton(each: Needed) -> Replacement:
    name = re.sub(r"[^A-Za-z0-9]+", "-", re.sub(r"^(?:https?|npm|jsr):/*", "", each.address)).strip("-")[:80]
    return Replacement(each, f"./{name}.ts", f"{name}.ts", skeleton(each))


def skeleton(each: Needed) -> str:
    """A module with the same exports. What they give can be called, awaited and read, and holds nothing."""
    names = [name for name in each.names if name not in ("default", "*") and name.isidentifier()]
    head = (
        f"// Stands in for {each.address} in a rehearsal (imported in {each.place}): this network does not reach it.\n"
    )
    if each.types_only or not each.names:
        return f"{head}export {{}};\n"
    fill = ", ".join(["the default export"] * ("default" in each.names) + names) or "its exports"
    return (
        f"{head}// Fill in what {fill} must answer for your smoke cases.\n"
        "// deno-lint-ignore-file no-explicit-any\n"
        "const nothing: any = new Proxy(function () {}, {\n"
        "  get: (_, key) =>\n"
        "    key === 'then' ? undefined : key === Symbol.toPrimitive || key === 'toString' ? () => '' :\n"
        "    key === 'toJSON' ? () => null : key === Symbol.iterator ? [][Symbol.iterator] : nothing,\n"
        "  apply: () => nothing,\n"
        "  construct: () => nothing,\n"
        "});\n" + "".join(f"export const {name} = nothing;\n" for name in names) + "export default nothing;\n"
    )


def as_map(stand_ins: Iterable[Replacement]) -> str:
    """The import map as the file holds it."""
    return json.dumps({"imports": {each.needed.address: each.target for each in stand_ins}}, indent=2) + "\n"
