"""`inv report`: the files of a report. Reads only; sends functions nothing; the plan document is never written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from migration.base import durable
from migration.base.command import Do, inv
from migration.base.errors import Refused
from migration.report import figures, gather, plan_document
from migration.report.gather import ReportFacts
from migration.report.markdown import markdown
from migration.report.page import page

if TYPE_CHECKING:
    from migration.context import Context

FOLDER = "report"  # below .cutover, where no --out is given


@dataclass(frozen=True)
class ReportResult:
    """`path` is what to open; `files` everything that was written; `missing` counts parts that were not measured."""

    path: str
    files: tuple[str, ...]
    verdict: str
    sentence: str
    missing: int
    facts: ReportFacts = field(repr=False)
    figures: Mapping[str, Any] = field(repr=False)
    exit_code: int = 0


def run(context: Context, since: datetime, out: str = "", as_markdown: bool = False) -> ReportResult:
    """Gather, draw, write. `out` is a file, or a folder (existing, or with a slash at its end) for all the evidence.

    Refused without a project, and where `out` would overwrite config.yaml or the plan document.
    """
    target = _target(context, out, as_markdown)
    facts = gather.gather(context, since)
    context.observer.step("report", detail="writing")
    return write(facts, target, bundle=_is_folder(out), as_markdown=as_markdown)


def write(facts: ReportFacts, target: Path, bundle: bool = False, as_markdown: bool = False) -> ReportResult:
    """The files for these facts: `target`, and beside it whatever belongs to it."""
    data = figures.figures(facts)
    texts: dict[Path, bytes] = {target: (markdown(data) if target.suffix == ".md" else page(data)).encode()}
    if bundle:
        texts |= _bundle(facts, data, target, as_markdown)
    if as_markdown and (copy := _copy(facts, data)) is not None:
        texts[target.with_name(copy[0])] = copy[1]
    for path, text in texts.items():
        _write(path, text)
    verdict = data["verdict"]
    return ReportResult(
        str(target), tuple(map(str, texts)), verdict["word"], f"{verdict['title']}. {verdict['sentence']}",
        len(data["missing"]), facts, data,
    )  # fmt: skip


def _bundle(facts: ReportFacts, data: Mapping[str, Any], target: Path, as_markdown: bool) -> dict[Path, bytes]:
    """What an auditor needs beside the page: the figures, and the ledger's records, one a line."""
    records = figures.records(facts.records)
    files = {
        target.with_name("figures.json"): _json(data, indent=1),
        target.with_name("ledger.jsonl"): b"".join(map(_json, records)),
    }
    return files | ({target.with_name("report.md"): markdown(data).encode()} if as_markdown else {})


def _json(value: Any, indent: int | None = None) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=indent).encode("utf-8", "replace") + b"\n"


def _copy(facts: ReportFacts, data: Mapping[str, Any]) -> tuple[str, bytes] | None:
    """The name and text of the ticked copy; None without a plan document that can be read."""
    name = facts.config.migration.plan
    rows: Sequence[Mapping[str, Any]] = data["plan"]["items"]
    if name is None or data["plan"].get("missing"):
        return None
    source = facts.config.folder / name
    copy = plan_document.ticked(plan_document.read(source), rows, data["written_at"][:16].replace("T", " ") + "Z")
    return f"{source.stem}.checked{source.suffix}", copy


def _is_folder(out: str) -> bool:
    return bool(out) and (out.endswith("/") or Path(out).is_dir())


def _target(context: Context, out: str, as_markdown: bool) -> Path:
    kind = "md" if as_markdown else "html"
    if not out:
        name = f"{context.environment.name}-{context.clock.now():%Y%m%d-%H%M%S}.{kind}"
        return context.state / FOLDER / name
    path = Path(out) / "report.html" if _is_folder(out) else Path(out)
    plan = context.config.migration.plan
    own = {context.config.file.resolve(), *({(context.config.folder / plan).resolve()} if plan else ())}
    beside = [path, *([path.with_name(f"{Path(plan).stem}.checked{Path(plan).suffix}")] if plan else [])]
    if any(one.resolve() in own for one in beside):
        raise Refused(f"{path} is not a report: it would be overwritten.", inv("report", out="report.html"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)  # before anything is asked of anyone
    except OSError as error:
        raise Refused(f"Cannot write {path}: {error.strerror}.", Do("name another place with --out")) from None
    if as_markdown and not _is_folder(out) and path.suffix != ".md":
        raise Refused(f"{path} does not end in .md.", inv("report", markdown=True, out=str(path.with_suffix(".md"))))
    return path


def _write(path: Path, text: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        durable.write(path, text, mode=0o644, sync=False)
    except OSError as error:
        raise Refused(f"Cannot write {path}: {error.strerror}.", Do("name another place with --out")) from None
