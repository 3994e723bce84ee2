"""The workers of a sandbox: started when first needed, replaced when another version is asked for, ended with it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from migration.rehearsal.isolate import Isolate
from migration.rehearsal.launch import NotBootable, prepare
from migration.rehearsal.options import Limits
from migration.rehearsal.reaper import Reaper
from migration.rehearsal.rows import Reporter
from migration.rehearsal.types import LiveFunction, Sandbox

Key = tuple[str, int, str]  # function id, version, digest of the secrets it was started with

_TURN = 0.2  # seconds between two looks at the workers
_LINGER = 1.0  # seconds an outdated worker stays, for regions that still ask for it


class Pool:
    """All workers of one sandbox. Not thread-safe: it belongs to the server's event loop."""

    def __init__(self, sandbox: Sandbox, limits: Limits) -> None:
        self.sandbox = sandbox
        self.limits = limits
        self._all: set[Isolate] = set()
        self._serving: dict[Key, Isolate] = {}
        self._boots: dict[Key, asyncio.Task[Isolate]] = {}
        self._wanted: dict[str, Key] = {}  # slug -> what was asked for last
        self._stops: dict[Isolate, asyncio.Task[None]] = {}
        self._keeper: asyncio.Task[None] | None = None
        self._reaper = Reaper()

    @asynccontextmanager
    async def lease(self, live: LiveFunction, execution: str) -> AsyncIterator[Isolate]:
        """A worker for one request, started if there is none; NotBootable when it cannot be."""
        isolate = await self._find(live, execution)
        isolate.begin()
        try:
            yield isolate
        finally:
            isolate.end()

    def alive(self) -> list[Isolate]:
        """Every worker whose process is not gone."""
        return [isolate for isolate in self._all if not isolate.gone]

    async def stop(self) -> None:
        """Ends every worker; returns when all are gone. The pool can be used again."""
        boots = list(self._boots.values())
        for boot in boots:
            boot.cancel()
        await asyncio.gather(*boots, return_exceptions=True)
        for leaving in self._stops:
            leaving.kill("")
        await asyncio.gather(*(self._stop(isolate, "TerminationRequested") for isolate in self._all))
        if self._keeper:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        self._all.clear()
        self._serving.clear()
        self._stops.clear()
        self._reaper.stop()

    async def _find(self, live: LiveFunction, execution: str) -> Isolate:
        key = self._key(live)
        self._wanted[live.slug] = key
        isolate = self._serving.get(key)
        if isolate is not None and not isolate.retired:
            return isolate
        if key not in self._boots:
            self._boots[key] = asyncio.create_task(self._boot(key, live, execution))
            self._boots[key].add_done_callback(_looked_at)
        return await _shared(self._boots[key])

    def _key(self, live: LiveFunction) -> Key:
        secrets = {} if self.limits.warm_secrets else self.sandbox.functions.secrets()
        digest = hashlib.sha256(json.dumps(secrets, sort_keys=True).encode()).hexdigest()
        return live.id, live.version, digest

    async def _boot(self, key: Key, live: LiveFunction, execution: str) -> Isolate:
        isolate = Isolate(Reporter(self.sandbox, live), execution, self._reaper, self.limits)
        self._all.add(isolate)
        try:
            await isolate.boot(partial(prepare, self.sandbox, live, execution), self.limits.boot_timeout)
        finally:
            del self._boots[key]
            self._watch()
        self._serving[key] = isolate
        return isolate

    def _watch(self) -> None:
        if self._keeper is None or self._keeper.done():
            self._keeper = asyncio.create_task(self._keep())

    async def _keep(self) -> None:
        """Until no worker is left: end what hangs in a loop, what is outdated and what stays unused."""
        while self._all:
            for isolate in list(self._all):
                self._look(isolate)
            await asyncio.sleep(_TURN)

    def _look(self, isolate: Isolate) -> None:
        if isolate.gone:
            self._all.discard(isolate)
            self._stops.pop(isolate, None)
            self._serving = {key: serving for key, serving in self._serving.items() if serving is not isolate}
            return
        isolate.check()
        if isolate.busy == 0 and not isolate.fate and (isolate.spent or self._spare(isolate)):
            self._stop(isolate, "EarlyDrop")

    def _spare(self, isolate: Isolate) -> bool:
        key = next((key for key, serving in self._serving.items() if serving is isolate), None)
        if key is None:
            return False  # still booting
        outdated = self._wanted[isolate.reporter.live.slug] != key
        return isolate.unused > (_LINGER if outdated else self.limits.idle)

    def _stop(self, isolate: Isolate, reason: str) -> asyncio.Task[None]:
        isolate.retired = True
        if isolate not in self._stops:
            self._stops[isolate] = asyncio.create_task(isolate.stop(reason))
        return self._stops[isolate]


async def _shared(boot: asyncio.Task[Isolate]) -> Isolate:
    """Wait for a boot that others wait for too: one caller that leaves must not spoil it for them."""
    try:
        return await asyncio.shield(boot)
    except asyncio.CancelledError:
        if boot.cancelled():
            raise NotBootable("the sandbox stopped before it was ready") from None
        raise


def _looked_at(boot: asyncio.Task[Isolate]) -> None:
    """A failed boot is in the logs: asyncio need not complain when every caller has left."""
    if not boot.cancelled():
        boot.exception()


__all__ = ["NotBootable", "Pool"]
