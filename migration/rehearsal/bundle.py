"""What the platform's bundler would refuse: a module that is missing or that cannot be parsed, found by Deno itself."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from migration.source import deno
from migration.source.graph import needed

_AT_ONCE = 2
_SEPARATE = {".ts": ".ts", ".mts": ".ts", ".cts": ".ts", ".js": ".ts", ".mjs": ".ts", ".cjs": ".ts"}
_MARKUP = {".tsx": ".tsx", ".jsx": ".tsx"}
_PARSED = _SEPARATE | _MARKUP
_OFFLINE = ("--no-remote", "--no-npm", "--no-lock")
_RAW = ("--unstable-raw-imports",)  # the platform's Deno has no such option, and refuses such imports


class Bundler:
    """Checks uploaded trees; the same files are checked once. Remote and npm modules are taken on trust.

    `platform` is the platform's own Deno, None where only the newer one is here.
    """

    def __init__(self, cache: Path, platform: Path | None = None) -> None:
        self._cache = cache
        self._platform = platform
        self._known: dict[str, str | None] = {}
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def refusal(self, files: Mapping[str, bytes], entrypoint: str, import_map: str) -> str | None:
        """Why these files cannot be bundled, None when they can."""
        key = digest(files, entrypoint, import_map)
        if key not in self._known:
            async with self._turn:
                self._known[key] = await self._check(files, entrypoint, import_map)
        return self._known[key]

    async def _check(self, files: Mapping[str, bytes], entrypoint: str, import_map: str) -> str | None:
        with tempfile.TemporaryDirectory(prefix="cutover-bundle-") as folder:
            root = Path(folder).resolve()
            for path, data in files.items():
                target = root / "source" / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
            modules, missing = await self._graph(root / "source", entrypoint, import_map)
            reason = missing or await self._parse(root, modules)
            return re.sub(r"file://" + re.escape(f"{root}/source/"), "file:///tmp/source/", reason) if reason else None

    async def _graph(self, root: Path, entrypoint: str, import_map: str) -> tuple[list[Path], str | None]:
        """Local modules that Deno reaches from the entrypoint, and what it cannot load."""
        options = [*_OFFLINE, *(() if self._platform else _RAW), *_mapped(root, import_map)]
        failed, out, err = await self._deno(["info", "--json", *options, str(root / entrypoint)], root, self._platform)
        if failed:
            return [], _reason(err)
        modules: list[dict[str, Any]] = json.loads(out)["modules"]
        # What types alone need, and what is behind a dynamic import, is not loaded: GraphKind::CodeOnly.
        static = needed((root / entrypoint).as_uri(), {module["specifier"]: module for module in modules})
        code = [module for module in modules if module["specifier"] in static]
        local = [module for module in code if str(module["specifier"]).startswith("file:")]
        broken = [str(module["error"]).rstrip(".") for module in local if "error" in module]
        broken += [fault for module in local for fault in _unresolved(module)]
        return [_path(module["specifier"]) for module in local], broken[0] if broken else None

    async def _parse(self, root: Path, modules: Sequence[Path]) -> str | None:
        """The first syntax error. Modules are parsed from copies that end in .ts, because Deno skips plain scripts."""
        copies = {root / "parsed" / f"{number}{_PARSED[path.suffix]}": path
                  for number, path in enumerate(modules) if path.suffix in _PARSED}  # fmt: skip
        (root / "parsed").mkdir()
        for copy, path in copies.items():
            copy.write_bytes(path.read_bytes())
        if not copies:
            return None
        command = ["transpile", "--no-config", "--outdir", str(root / "out"), *map(str, copies)]
        code, _, err = await self._deno(command, root / "parsed")
        reason = _reason(err) if code else None
        for copy, path in copies.items():
            reason = reason.replace(f"{copy}:", f"{path}:") if reason else None
        return reason

    async def _deno(
        self, arguments: Sequence[str], folder: Path, program: Path | None = None
    ) -> tuple[int, bytes, str]:
        cache = self._cache.with_name(f"{self._cache.name}-platform") if program else self._cache
        process = await asyncio.create_subprocess_exec(
            program or deno.executable(), *arguments, cwd=folder, env=deno.environment(cache),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        return process.returncode or 0, out, err.decode(errors="replace")


def digest(files: Mapping[str, bytes], entrypoint: str, import_map: str) -> str:
    """SHA-256 over what decides how the code behaves: paths, bytes, and where it starts."""
    total = hashlib.sha256(f"{entrypoint}\0{import_map}\0".encode())
    for path in sorted(files):
        total.update(f"{path}\0{len(files[path])}\0".encode() + files[path])
    return total.hexdigest()


def _mapped(root: Path, import_map: str) -> list[str]:
    if not import_map:
        return ["--no-config"]
    if Path(import_map).name in ("deno.json", "deno.jsonc"):
        return ["--config", str(root / import_map)]
    return ["--no-config", "--import-map", str(root / import_map)]


def _unresolved(module: Mapping[str, Any]) -> list[str]:
    """Imports that lead nowhere, in the platform's words; a dynamic one fails only when it is reached."""
    reasons = []
    for each in module.get("dependencies", ()):
        if each.get("code", {}).get("error") and not each.get("isDynamic"):
            reasons.append(f'Relative import path "{each["specifier"]}" not prefixed with / or ./ or ../')
    return reasons


def _reason(err: str) -> str:
    lines = [line for line in err.split("Stack backtrace")[0].splitlines() if "experimental" not in line]
    text = "\n".join(line for line in lines if not line.startswith(("Emit ", "Check "))).strip()
    return text.removeprefix("error: ").strip() or "Deno gave no reason"


def _path(specifier: str) -> Path:
    return Path(unquote(urlparse(specifier).path))
