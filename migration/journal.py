"""What this machine alone knows of a deployment under way: synced line by line, before and after each request."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from migration.failpoint import failpoint

KEPT = 20


class Journal:
    """One deployment's file, `.cutover/journal/<environment>/<deployment>.jsonl`. Safe from several threads."""

    def __init__(self, state: Path, environment: str, deployment: str) -> None:
        self.path = state / "journal" / environment / f"{deployment}.jsonl"
        self._guard = threading.Lock()

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
        data = json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        with self._guard:
            new = not self.path.exists()
            if new:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._prune()
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(handle, data)
                os.fsync(handle)
            finally:
                os.close(handle)

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
