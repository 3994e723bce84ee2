"""What this machine alone knows of a deployment under way: synced line by line, before and after each request."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from io import FileIO
from pathlib import Path
from typing import Any

from migration.base.failpoint import failpoint

KEPT = 20


class Journal:
    """One deployment's file, `.cutover/journal/<environment>/<deployment>.jsonl`. Safe from several threads."""

    def __init__(self, state: Path, environment: str, deployment: str) -> None:
        self.path = state / "journal" / environment / f"{deployment}.jsonl"
        self._guard, self._syncing = threading.Lock(), threading.Lock()
        self._handle: FileIO | None = None
        self._written = self._synced = 0

    def sending(self, slugs: Sequence[str]) -> None:
        """Uploads of these functions are about to leave."""
        failpoint("journal.sending")
        self._append({"sending": list(slugs)})

    def answered(self, slug: str, answer: dict[str, Any]) -> None:
        """The platform's answer to staging, kept word for word: activation needs it."""
        failpoint("journal.answered")
        self._append({"answered": slug, "answer": answer})
        failpoint("journal.answered.after")

    def sent(self) -> set[str]:
        return {slug for line in self._lines() for slug in line.get("sending", ())}

    def answers(self) -> dict[str, dict[str, Any]]:
        """The newest answer of each function."""
        return {line["answered"]: line["answer"] for line in self._lines() if "answered" in line}

    def exists(self) -> bool:
        return self.path.exists()

    def _append(self, line: dict[str, Any]) -> None:
        """Write, then sync. Answers come all at once, so whoever syncs does it for all that have been written."""
        data = json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        with self._guard:
            if self._handle is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._prune()
                self._handle = self.path.open("ab", buffering=0)
            self._handle.write(data)
            self._written += 1
            mine = self._written
        with self._syncing:
            if self._synced < mine:
                upto = self._written
                os.fsync(self._handle.fileno())
                self._synced = upto

    def _lines(self) -> list[dict[str, Any]]:
        """Every whole line; a torn last one, cut by a kill or a full disk, is not there."""
        try:
            text = self.path.read_text("utf-8", "replace")
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in text.split("\n")[:-1] if _whole(line)]

    def _prune(self) -> None:
        for old in sorted(self.path.parent.glob("*.jsonl"))[:-KEPT]:
            old.unlink(missing_ok=True)


def _whole(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
