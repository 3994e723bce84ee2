"""Which files of a revision its functions may need, found in git's objects, so that no second checkout is made.

A superset of what Deno will resolve: everything in supabase/, and from there every path that a text names.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from posixpath import dirname, join, normpath
from typing import Any
from urllib.parse import unquote

from migration.git.checkout import Listing
from migration.source import importmap

_HOME = "supabase/"
_QUOTED = re.compile(r"""["'`]([^"'`\n]+)""")
_TEMPLATE = re.compile(r"import\s*\(\s*`(\.{1,2}/[^`$]*)\$\{")
_TEXT = (".ts", ".tsx", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs", ".json", ".jsonc", ".toml")
_ENDINGS = ("", ".ts", ".tsx", ".js", ".jsx", ".mts", ".mjs", "/index.ts", "/index.tsx", "/index.js")
_MAGIC = re.compile(r"[*?\[]")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_LINK = "120000"


def select(listing: Listing) -> Collection[str]:
    """The paths that the functions of this revision may need."""
    walk = _Walk(listing)
    waiting = {path for path in listing.entries if path.startswith(_HOME)} | walk.behind(_HOME.rstrip("/"))
    while waiting:
        walk.found |= waiting
        texts = listing.read([path for path in waiting if path.endswith(_TEXT) or walk.is_link(path)])
        for path, data in texts.items():
            walk.look(path, data.decode("utf-8", "replace"))
        waiting = walk.named() - walk.found
    return walk.found


class _Walk:
    """What was found so far, and what the texts seen so far name."""

    def __init__(self, listing: Listing) -> None:
        self.listing = listing
        self.found: set[str] = set()
        self._paths: set[str] = set()  # named by a path
        self._bare: set[str] = set()  # named in some other way, for the import maps
        self._maps: dict[str, set[str]] = {}  # of every function: a key may mean something else in each
        self._folders: dict[str, set[str]] = {}
        self._links: dict[str, str] = {}
        links = [path for path in listing.entries if self.is_link(path)]
        for path, target in listing.read(links).items():
            self._links[path] = normpath(join(dirname(path), target.decode("utf-8", "surrogateescape")))

    def is_link(self, path: str) -> bool:
        return self.listing.entries[path][0] == _LINK

    def look(self, path: str, text: str) -> None:
        """Take the paths out of one file."""
        if self.is_link(path):
            self._paths |= {self._links[path], *self.behind(path)}
            return
        for folder in (dirname(path), *self._aliases(dirname(path))):
            self._look_from(folder, path, text)

    def _look_from(self, folder: str, path: str, text: str) -> None:
        if path.endswith((".json", ".jsonc")) and '"imports"' in text:
            self._take_map(folder, text)
        for written in _QUOTED.findall(text):
            if not written.startswith(("./", "../")):
                self._bare.add(written)
            elif path.endswith(".toml") and (magic := _MAGIC.search(written)):
                self._paths |= self._below(normpath(join(folder, dirname(written[: magic.start()]))))
            else:
                self._paths |= {normpath(join(folder, each)) for each in (written, _plain(written))}
        for written in _TEMPLATE.findall(text):
            self._paths |= self._below(normpath(join(folder, dirname(written))))

    def _aliases(self, folder: str) -> Iterator[str]:
        """The folder by the names that symlinks give it: an import is relative to the name it was reached by."""
        for link, target in self._links.items():
            if folder == target or folder.startswith(f"{target}/"):
                yield link + folder[len(target) :]

    def named(self) -> set[str]:
        """The files that are named, through import maps and symlinks too."""
        mapped = {normpath(place + word[len(key) :]) for word in self._bare for key, places in self._maps.items()
                  if key.endswith("/") and word.startswith(key) for place in places}  # fmt: skip
        whole = {place for places in self._maps.values() for place in places if not place.endswith("/")}
        return {path for named in self._paths | mapped | whole for path in self._files(named)}

    def behind(self, path: str) -> set[str]:
        """The files below a folder, where the folder is a symlink or lies behind one."""
        return self._below(path) if self._real(path) != path else set()

    def _take_map(self, folder: str, text: str) -> None:
        try:
            document = importmap.parse(text)
        except (ValueError, RecursionError):
            return
        for entries in _tables(document):
            for key, value in entries.items():
                if isinstance(value, str) and not _URL.match(value):
                    place = normpath(join(folder, value))
                    self._maps.setdefault(key, set()).add(f"{place}/" if value.endswith("/") else place)
                    self._paths |= self._some(place) if value.endswith("/") else set()

    def _some(self, folder: str) -> set[str]:
        """One file below a folder: a map may name the folder only if it is there."""
        if folder not in self._folders:
            place = self._real(folder)
            first = next((path for path in self.listing.entries if path.startswith(f"{place}/")), None)
            self._folders[folder] = {first} if first else set()
        return self._folders[folder]

    def _files(self, named: str) -> Iterator[str]:
        for ending in _ENDINGS:
            path = self._real(named + ending)
            if path in self.listing.entries:
                yield path
                yield from self._on_the_way(named)

    def _real(self, path: str) -> str:
        """The path with every symlink on the way replaced."""
        for _ in range(40):
            link = next((link for link in self._links if path == link or path.startswith(f"{link}/")), None)
            if link is None:
                return path
            path = normpath(self._links[link] + path[len(link) :])
        return path

    def _on_the_way(self, path: str) -> Iterator[str]:
        for _ in range(40):
            link = next((link for link in self._links if path == link or path.startswith(f"{link}/")), None)
            if link is None:
                return
            yield link
            path = normpath(self._links[link] + path[len(link) :])

    def _below(self, folder: str) -> set[str]:
        place = self._real(folder)
        return {path for path in self.listing.entries if path.startswith(f"{place}/") or place == "."}


def _tables(document: Any) -> Iterator[Mapping[str, Any]]:
    """`imports`, and each of `scopes`, where they are objects."""
    if isinstance(document, dict):
        scopes = document.get("scopes")
        for table in (document.get("imports"), *(scopes.values() if isinstance(scopes, dict) else ())):
            if isinstance(table, dict):
                yield table


def _plain(written: str) -> str:
    """A specifier as the path that it means."""
    return unquote(re.split(r"[?#]", written)[0])
