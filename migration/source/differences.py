"""What differs: settings, texts, and the functions that the migration must leave alone."""

from __future__ import annotations

import difflib
import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from migration.base.errors import Refused
from migration.base.parallel import every
from migration.clients.supabase_types import Function
from migration.source import reader, snapshots
from migration.source.source import Source

if TYPE_CHECKING:
    from migration.context import Context


def settings(wanted: Source, live: Function | None, left: bool | None = None) -> Iterator[str]:
    """Settings of the deployed function that a deploy would change, or that was changed outside Cutover, in words.

    `left`: `verify_jwt` as it was last deployed from here.
    """
    if live is None:
        return
    if wanted.verify_jwt is None and left is not None and live.verify_jwt is (not left):
        opened = ": anyone can call it" if not live.verify_jwt else ""
        yield (
            f"verify_jwt: changed outside Cutover to {_word(live.verify_jwt)}, it was {_word(left)} when last deployed"
            f"{opened}; config.toml does not say, so a deploy leaves it so"
        )
    if wanted.verify_jwt is not None and live.verify_jwt is not None and wanted.verify_jwt != live.verify_jwt:
        opened = " (anyone can call it then)" if not wanted.verify_jwt else ""
        yield f"verify_jwt: {_word(live.verify_jwt)} → {_word(wanted.verify_jwt)}{opened}"
    for name, new, old in (
        ("entrypoint", wanted.entrypoint, live.entrypoint_path),
        ("import_map", wanted.import_map, live.import_map_path),
    ):
        now = snapshots.cut(old or "")
        if (old or name == "import_map") and new != now and not new.endswith(f"/{now}" if now else "\0"):
            yield f"{name}: {now or 'none'} → {new or 'none'}"


def text(wanted: Source, live: Source) -> str:
    """A unified diff from what is live to what would be, by path as seen from the entrypoint."""
    new = {path: data for path, data in wanted.files.items() if path not in wanted.loose}
    old = {path: data for path, data in _by_path(live, wanted).items() if path not in wanted.loose}
    return "".join(_each(path, old.get(path), new.get(path)) for path in sorted(old | new))


@dataclass(frozen=True)
class BaseComparison:
    """A function that must stay as it is at base. `changed` is None where there is nothing to compare with."""

    slug: str
    changed: bool | None
    files: tuple[str, ...] = ()
    why: str = ""


def unchanged(
    context: Context, slugs: Sequence[str], past: Mapping[str, Source] | None, base: str
) -> list[BaseComparison]:
    """Measures the functions that the migration must leave alone against the base revision, file by file.

    `past` is None where this clone does not have that revision.
    """
    if not base or past is None:
        there = f"the base revision {base[:12]} is not in this clone"
        why = there if base else "there is no base revision to compare with"
        return [BaseComparison(slug, None, (), why) for slug in slugs]
    return every(list(slugs), lambda slug: _measure(context, slug, past.get(slug)))


def _measure(context: Context, slug: str, then: Source | None) -> BaseComparison:
    try:
        now = reader.reader(context).working([slug])[slug]
    except Refused as error:
        return BaseComparison(slug, True, (), error.message)
    if then is None:
        return BaseComparison(slug, True, (), "the base revision does not hold it")
    files = tuple(_differing(then, now))
    why = "" if files else ", ".join(_moved(then, now))
    return BaseComparison(slug, now.digest != then.digest, files, why and f"only its settings differ ({why})")


def _differing(then: Source, now: Source) -> Iterable[str]:
    old, new = then.tracked, now.tracked
    return (path for path in sorted(old | new) if old.get(path) != new.get(path))


def _moved(then: Source, now: Source) -> Iterator[str]:
    """The settings that are others than they were."""
    old, new = then.metadata(), now.metadata()
    for name in dict.fromkeys([*old, *new]):
        if old.get(name) != new.get(name):
            yield f"{name}: {_shown(old.get(name))} → {_shown(new.get(name))}"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return _word(value)
    return ", ".join(value) or "none" if isinstance(value, list) else str(value or "none")


def _by_path(live: Source, wanted: Source) -> dict[str, bytes]:
    """The live files under the paths that the wanted source uses, in case the platform cut folders off."""
    here, there = posixpath.dirname(live.entrypoint), posixpath.dirname(wanted.entrypoint)
    moved = {
        path: posixpath.normpath(posixpath.join(there, posixpath.relpath(path, here or "."))) for path in live.files
    }
    return {moved[path]: data for path, data in live.files.items()}


def _each(path: str, old: bytes | None, new: bytes | None) -> str:
    if old == new:
        return ""
    before, after = (f"a/{path}" if old is not None else "/dev/null"), (f"b/{path}" if new is not None else "/dev/null")
    try:
        first, second = ((data or b"").decode().splitlines(keepends=True) for data in (old, new))
    except UnicodeDecodeError:
        return f"Binary files {before} and {after} differ\n"
    diff = difflib.unified_diff(first, second, before, after)
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in diff)


def _word(value: bool) -> str:
    return "true" if value else "false"
