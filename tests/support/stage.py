"""The sample app before and after the migration on a running sandbox, without the phases that carry it there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from msgspec import structs

from migration.clients.http import Http
from migration.config import load as configuration
from migration.rehearsal.stage import RehearsalStage
from migration.source import reader
from tests.support.collector import Collector
from tests.support.project import ROOT


class Moved(RehearsalStage):
    """A sandbox whose project had the code before, then the code after; the ledger knows the deployment."""

    deployment = "20261122-120000-abcd"

    def move(self) -> None:
        """Make the code after the migration live, and record it as a deploy would."""
        migrated = self.config.migration.functions
        before = {one.slug: one for one in self.context.supabase.functions() if one.slug in migrated}
        functions = [
            {"slug": slug, "action": "update", "before": {"version": one.version, "function_id": one.id}, "wanted": {}}
            for slug, one in before.items()
        ]
        intent = {"record": "intent", "kind": "deploy", "revision": self.clone.head, "base_revision": self.clone.base}
        self.context.ledger.append({**intent, "deployment": self.deployment, "functions": functions})
        for each in reader.reader(self.context).at(self.clone.head, migrated).values():
            self.context.supabase.deploy(each.upload())
        after = [{"slug": slug, "after": {"version": one.version + 1}} for slug, one in before.items()]
        outcome = {"record": "outcome", "deployment": self.deployment, "outcome": "live", "functions": after}
        self.context.ledger.append(outcome)

    def mutate(self, slug: str, *edits: tuple[str, str, str]) -> None:
        """Deploy the code after the migration with texts replaced: (path below functions/, old, new)."""
        found = reader.reader(self.context).at(self.clone.head, [slug])[slug]
        files = dict(found.files)
        for name, old, new in edits:
            path = f"supabase/functions/{name}"
            assert old in files[path].decode(), f"{path} does not hold {old!r}"
            files[path] = files[path].decode().replace(old, new).encode()
        self.context.supabase.deploy(replace(found, files=files).upload())

    def misbehave(self, **programs: Any) -> None:
        """Set fault programs by provider; without any, all are healthy again."""
        token = self.context.project()[1].reveal()
        http = Http(self.context.environment.url, {"Authorization": f"Bearer {token}"}, name="the sandbox")
        http.request("DELETE", "/_sandbox/providers")
        if programs:
            answer = http.request("POST", "/_sandbox/providers", json=programs)
            assert answer.ok, answer.text


def open_(folder: Path, variables: Mapping[str, Any] | None = None) -> Moved:
    """Chat and images live, and the artifact functions as they were before."""
    found = configuration.load(ROOT)
    quick = {"OPENROUTER_RETRY_BASE_MS": 20, **(variables or {})}
    calm = {"variables": {**found.rehearsal.variables, **quick}, "management": {"rate_limit": {"default": 0}}}
    rehearsal = structs.replace(found.rehearsal, **calm)  # a whole file of checks asks more often than people may
    stage = Moved(folder, folder / "sandbox", structs.replace(found, rehearsal=rehearsal), Collector())
    stage.open()
    from migration.rehearsal import sandbox

    sandbox.secrets(stage.context)
    sandbox.functions(stage.context, stage.clone, stage.config.migration.functions)
    return stage
