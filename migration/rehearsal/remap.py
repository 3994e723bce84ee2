"""The Deno config of one function: its own import map with the replacements that a closed network needs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from migration.source import importmap

HERE = Path(__file__).parent
STD_SERVER = (HERE / "std_server.js").as_uri()
_OURS = f"{HERE.as_uri()}/"
_NODE_OWN = {
    "node:cluster": f"{_OURS}node_cluster.js",
    "node:crypto": f"{_OURS}node_crypto.js",
    "node:fs": f"{_OURS}node_fs.js",
    "node:fs/promises": f"{_OURS}node_fs_promises.js",
    "node:os": f"{_OURS}node_os.js",
    "node:worker_threads": f"{_OURS}node_threads.js",
    "node:zlib": f"{_OURS}node_zlib.js",
}
_STD = r"https://deno\.land/std(?:@[\w.-]+)?/"
_STD_FOLDER = re.compile(_STD)
_STD_MODULE = re.compile(_STD + r"http/server\.ts")
_CODE = {".ts", ".tsx", ".js", ".jsx", ".mjs", ".mts", ".cjs", ".cts"}
_REMOTE = re.compile(r"""["'](?:npm:|jsr:|https?://)""")
_NODE = re.compile(
    r"""["'](?:npm:(?!/?@supabase/)|node:(?:https?|fs(?:/promises)?|net|tls|dns(?:/promises)?|os)["'])"""
    r"""|["']node:(?:worker_threads|cluster|child_process|process)["']"""
    r"""|require\(["'](?:https?|fs)["']"""
)

_REQUIRE = re.compile(r"\bcreateRequire\b")
_REPLACED = re.compile(r"""["']node:(?:fs(?:/promises)?|os|worker_threads|cluster|crypto|zlib)["']""")

Entries = dict[str, str]


def config(tree: Path, own: Path | None, replacements: Path | None) -> dict[str, Any]:
    """A deno.json as data, every path in it absolute. `own` is the function's import map or deno.json.

    `replacements` is `rehearsal.import_map`; the listener of the old standard library is always replaced.
    Refused for a map that cannot be read.
    """
    loaded = importmap.load(own).absolute() if own else {"imports": {}, "scopes": {}}
    replaced = importmap.load(replacements).absolute()["imports"] if replacements else {}
    targets = {**_listeners(tree, loaded["imports"].values()), **replaced}
    scopes = {scope: rewritten(entries, targets) for scope, entries in loaded["scopes"].items()}
    options = importmap.parse(own.read_text("utf-8-sig")).get("compilerOptions") if own else None
    imports = {**rewritten(loaded["imports"], targets), **targets}
    if _mentions(_REPLACED, tree, imports):
        imports |= _NODE_OWN
        scopes[_OURS] = {name: name for name in _NODE_OWN}
    return {"imports": imports, "scopes": scopes} | ({"compilerOptions": options} if options else {})


def rewritten(entries: Mapping[str, str], targets: Mapping[str, str]) -> Entries:
    """The entries with replaced addresses in place of their own: a map is not applied to what a map answers."""
    result = dict(entries)
    for key, value in entries.items():
        for address, target in targets.items():
            if value == address or (address.endswith("/") and value.startswith(address)):
                result[key] = target + value[len(address) :]
            elif value.endswith("/") and key.endswith("/") and address.startswith(value):
                result[key + address[len(value) :]] = target
    return result


def remote(tree: Path, config: Mapping[str, Any]) -> bool:
    """Whether anything may have to be fetched before the function can start; a wrong yes costs time, no more."""
    return _mentions(_REMOTE, tree, config)


def node(tree: Path, config: Mapping[str, Any]) -> bool:
    """Whether the function may serve by Node's own server; a wrong yes costs a tenth of a second."""
    return _mentions(_NODE, tree, config)


def commonjs(tree: Path) -> bool:
    """Whether any file of it may be loaded by `require`."""
    return any(path.suffix in (".cjs", ".cts") for path in tree.rglob("*")) or _mentions(_REQUIRE, tree, {})


def _mentions(pattern: re.Pattern[str], tree: Path, config: Mapping[str, Any]) -> bool:
    return bool(pattern.search(str(config))) or any(pattern.search(text) for text in _texts(tree))


def _listeners(tree: Path, addresses: Iterable[str]) -> Entries:
    """Every spelling of the old std listener in the function's files, and those its import map leads to."""
    modules = {match[0] for text in _texts(tree) for match in _STD_MODULE.finditer(text)}
    for address in addresses:
        folder, module = _STD_FOLDER.fullmatch(address), _STD_MODULE.fullmatch(address)
        modules |= {f"{address}http/server.ts"} if folder else {address} if module else set()
    return dict.fromkeys(sorted(modules), STD_SERVER)


def _texts(tree: Path) -> Iterable[str]:
    for path in tree.rglob("*"):
        if path.suffix in _CODE and path.is_file():
            yield path.read_text("utf-8", "replace")
