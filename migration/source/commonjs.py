"""What of CommonJS fails on the platform: its bundler packs such files only beside a package.json's node_modules.

Neither the Supabase CLI nor we upload those. https://github.com/supabase/edge-runtime, crates/deno_facade/eszip/mod.rs:
modules go into the file system that `require` reads only where `use_byonm` is true.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_SUFFIXES = (".cjs", ".cts")
_CALL = re.compile(r"\brequire\s*\(\s*$")
_MAKES = re.compile(r"\bcreateRequire\b")
_CAUSE = "package.json and node_modules are not uploaded"


def warnings(name: str, module: Mapping[str, Any], path: Path) -> Iterator[str]:
    """Of one local module by its name from the app, as Deno reports it: what fails when it runs."""
    if path.suffix in _SUFFIXES:
        yield f"{name} is CommonJS, which the platform cannot load ({_CAUSE}). Write it as an ES module."
        return
    calls = list(required(module, path))
    if calls and not _MAKES.search(path.read_text("utf-8", "replace")):
        call = calls[0]
        yield f"{_place(name, call)}: `require` is not defined when it runs. Write {_import(call)}."
        return
    for call in calls:
        if "error" in call["code"] or call["code"].get("specifier", "").startswith("file:"):
            text = f"require({json.dumps(call['specifier'])}) finds nothing when it runs ({_CAUSE})"
            yield f"{_place(name, call)}: {text}. Write {_import(call)}."


def required(module: Mapping[str, Any], path: Path) -> Iterator[dict[str, Any]]:
    """The dependencies of a module that it names in a call of `require`."""
    calls = [
        each for each in module.get("dependencies", ()) if each.get("isDynamic") and "span" in each.get("code", {})
    ]
    lines = path.read_text("utf-8", "replace").splitlines() if calls else []
    for each in calls:
        start = each["code"]["span"]["start"]
        if start["line"] < len(lines) and _CALL.search(lines[start["line"]][: start["character"]]):
            yield each


def _place(name: str, call: Mapping[str, Any]) -> str:
    start = call["code"]["span"]["start"]
    return f"{name}:{start['line'] + 1}:{start['character'] + 1}"


def _import(call: Mapping[str, Any]) -> str:
    """The import that works in its place."""
    written, leads = str(call["specifier"]), str(call["code"].get("specifier", ""))
    if leads.startswith("node:"):
        written = leads
    elif "error" in call["code"] and not written.startswith((".", "/")):
        written = f"npm:{written}"
    kind = ' with { type: "json" }' if written.endswith(".json") else ""
    return f"`import … from {json.dumps(written)}{kind}`"
