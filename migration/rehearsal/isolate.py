"""One Deno process that serves one function version."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable
from pathlib import Path
from typing import Any

from migration.base.errors import Refused
from migration.rehearsal.launch import Launch, NotBootable
from migration.rehearsal.options import Limits
from migration.rehearsal.reaper import Reaper
from migration.rehearsal.rows import Reporter, now
from migration.rehearsal.spending import Spending

_LONGEST = 64 * 2**20  # bytes of one line: a console call is one line
_HURRY = 1.0  # seconds to end in order when all must end
_RETIRED, _WARNED = 0.5, 0.9  # shares of a limit
_MARK = b"\x1e"
# What a listener of `beforeunload` reads: https://github.com/supabase/edge-runtime, WillTerminateReason.
_REASONS = {"EarlyDrop": "early_drop", "TerminationRequested": "termination", "WallClockTime": "wall_clock"}
_OWN_MEMORY = 192 * 2**20  # what Deno occupies beside the memory of a function
_FATAL = (b"JavaScript out of memory", b"heap limit")


class Isolate:
    """`busy` counts the requests in flight; a `retired` one takes no new requests; `gone` when its process is.

    `fate` says why it was cut short: CPUTime, Memory or WallClockTime; empty when it ended in order or by an error of
    its own.
    """

    def __init__(self, reporter: Reporter, execution: str, reaper: Reaper, limits: Limits) -> None:
        self.reporter = reporter
        self.execution = execution
        self.busy = 0
        self.retired = self.gone = False
        self.fate = ""
        self.port = 0
        self.process: Process | None = None
        self._reaper = reaper
        self._reason = "EventLoopCompleted"
        self._ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._ended: asyncio.Task[None] | None = None
        self._spawned = 0.0
        self._used = self._beaten = _time()
        self._cpu = 0.0
        self._memory: dict[str, Any] = {}
        self._complaint = b""
        self._tmp: Path | None = None
        self._limits = limits
        self._memory_limit = limits.memory * 2**20
        self._spending = Spending(limits, _time())
        self._warned = False
        self._heavy = False

    # a request's time in it

    def begin(self) -> None:
        self._spending.request(self.busy == 0, cpu_seconds(self.process.pid) if self.process else None)
        self.busy += 1
        self._beat()

    def end(self) -> None:
        self.busy -= 1
        self._used = _time()

    @property
    def unused(self) -> float:
        """Seconds since the last request ended, 0 during one."""
        return 0.0 if self.busy else _time() - self._used

    @property
    def spent(self) -> bool:
        """Whether it ends as soon as it has nothing to do: it is retired, or it held half of its memory once.

        https://github.com/supabase/edge-runtime/blob/main/crates/base/src/worker/supervisor/strategy_per_worker.rs,
        `has_resource_alert`
        """
        return self.retired or self._heavy

    # its life

    async def boot(self, prepare: Callable[[], Launch], seconds: float) -> None:
        """Returns when it listens; NotBootable, written to the logs, when it cannot or not within `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                launch = prepare()
                await _fetch(launch)
                await self._spawn(launch)
                self.port = await asyncio.shield(self._ready)
                self._used = _time()
        except TimeoutError:
            await self._fail(f"Deno.serve was not called within {seconds:g}s")
        except (NotBootable, Refused) as error:
            await self._fail(str(error))

    async def stop(self, reason: str) -> None:
        """End it in order, by force if it does not; returns when it is gone."""
        self.retired, self._reason = True, reason
        if self._ended is None or self.process is None:
            self.gone = True
            return
        self._tell(reason)
        if self.process.stdin:
            self.process.stdin.close()
        # What was begun with EdgeRuntime.waitUntil may go on until the worker's time is over.
        grace = self._spending.left(_time()) if reason == "EarlyDrop" else _HURRY
        await asyncio.wait([self._ended], timeout=grace)
        self.kill(reason)
        await self._ended

    def kill(self, fate: str) -> None:
        self.retired = True
        if self.process and not self.gone:
            self.fate = self.fate or fate
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    async def ended(self, seconds: float) -> bool:
        """Whether the process is gone, at the latest after this time."""
        if self._ended:
            await asyncio.wait([self._ended], timeout=seconds)
        return self.gone

    def check(self) -> None:
        """Retire it at half of its processor time or of its time on the wall, end it when one or the memory is used up.

        As the platform's supervisor does, which tells it at nine tenths of the latter:
        https://github.com/supabase/edge-runtime/blob/main/crates/base/src/worker/supervisor/strategy_per_worker.rs
        """
        used = cpu_seconds(self.process.pid) if self.process and self.busy and not self.gone else None
        processor, age = self._spending.processor(used), self._spending.age(_time())
        if processor >= 1 or self._overrun(self._limits.cpu_limit):
            self.kill("CPUTime")
        elif self._overweight():
            self.kill("Memory")
        elif age >= 1:
            self.kill("WallClockTime")
        elif processor >= _RETIRED or age >= _RETIRED:
            self.retired = True
        if age >= _WARNED and not self.gone:
            self._tell("WallClockTime")

    def _tell(self, reason: str) -> None:
        """Say once why it will end, to who listens to `beforeunload`."""
        if self.process and self.process.stdin and not self._warned:
            self._warned = True
            with contextlib.suppress(OSError):  # it ends already
                self.process.stdin.write(_REASONS.get(reason, "").encode())

    def _overrun(self, limit: float) -> bool:
        """Whether it has been deaf in a loop for `limit` seconds of processor time while a request waits."""
        silent = _time() - self._beaten
        if not self.busy or self.process is None or silent < limit:
            return False
        used = cpu_seconds(self.process.pid)
        # Where the system does not say, time on the wall must do, with room for a slow machine.
        return silent > 5 * limit if used is None else used - self._cpu >= limit

    def _overweight(self) -> bool:
        """Whether its process holds more than the limit and what Deno itself needs: typed arrays are no heap."""
        held = resident_bytes(self.process.pid) if self.process and not self.gone else None
        return held is not None and held > self._memory_limit + _OWN_MEMORY

    async def _fail(self, text: str) -> None:
        self.reporter.boot_failure(text, self.execution)
        await self.stop("")
        raise NotBootable(text)

    async def _spawn(self, launch: Launch) -> None:
        self._tmp = launch.tmp
        self._spending.born = _time()
        self._spawned = now()
        self.process = await asyncio.create_subprocess_exec(
            *launch.run, env=launch.env, cwd=launch.cwd, stdin=PIPE, stdout=PIPE, stderr=PIPE,
            start_new_session=True, limit=_LONGEST,
        )  # fmt: skip
        self._reaper.add(self.process.pid)
        self._ended = asyncio.create_task(self._watch(self.process))

    async def _watch(self, process: Process) -> None:
        """Until it is gone: pass on what it says, then write down how it ended."""
        try:
            await asyncio.gather(self._listen(process), self._complaints(process))
        except ValueError:  # a line longer than the limit
            self.kill("")
        await process.wait()
        self._reaper.remove(process.pid)
        if self._tmp:
            shutil.rmtree(self._tmp, ignore_errors=True)
        self.retired = self.gone = True
        if any(sign in self._complaint for sign in _FATAL):
            self.fate = "Memory"
        if not self._ready.done():
            self._ready.set_exception(NotBootable(_cause(self._complaint)))
            self._ready.exception()  # a boot that timed out does not read it
        elif self.fate or process.returncode == 0:
            self.reporter.shutdown(self.fate or self._reason, self._cpu, self._memory, self.execution)

    async def _listen(self, process: Process) -> None:
        assert process.stdout
        async for line in process.stdout:
            if line.startswith(_MARK):  # what else is written to stdout leads to /dev/null on the platform
                self._take(json.loads(line[1:]))

    async def _complaints(self, process: Process) -> None:
        assert process.stderr
        async for line in process.stderr:
            self._complaint = (self._complaint + line)[-(2**16) :]

    def _take(self, event: dict[str, Any]) -> None:
        at, execution = event["at"], event.get("id") or self.execution
        self._beat()
        match event["event"]:
            case "beat" if event["memory"] > self._memory_limit:
                self.kill("Memory")
            case "beat" if event["memory"] > self._memory_limit / 2:
                self._heavy = True
            case "boot":
                self.reporter.boot(at, round(at - self._spawned), execution)
            case "log" if self._spending.line(execution, at / 1000):
                self.reporter.log(at, event["text"], event["level"], execution)
            case "uncaught":
                self.retired = True
                self.reporter.uncaught(at, event["text"], execution)
            case "ready" if not self._ready.done():
                self._ready.set_result(event["port"])
            case "end":
                self._memory = event["memory"]

    def _beat(self) -> None:
        self._beaten = _time()
        self._cpu = (cpu_seconds(self.process.pid) if self.process else None) or self._cpu


def cpu_seconds(pid: int) -> float | None:
    """Processor seconds that a process has used; None where the system has no /proc or the process is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int | None:
    """Memory that a process occupies; None where the system has no /proc or the process is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return None


def _time() -> float:
    return asyncio.get_running_loop().time()


async def _fetch(launch: Launch) -> None:
    if launch.fetch is None:
        return
    child = await asyncio.create_subprocess_exec(
        *launch.fetch, env=launch.fetch_env, cwd=launch.cwd, stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE
    )
    try:
        _, complaint = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
    if child.returncode:
        raise NotBootable(_cause(complaint))


def _cause(complaint: bytes) -> str:
    """Deno's own words, without colours, its prefix and its own backtrace."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", complaint.decode("utf-8", "replace"))
    text = text.partition("\nStack backtrace:")[0].strip()
    # How to get what the platform lacks, Deno.cron above all, is no help: no flag reaches a worker.
    text = re.sub(r"\n\s+info: [^\n]*unstable API.*", "", text, flags=re.DOTALL).strip()
    return text.removeprefix("error: ") or "the worker ended before it called Deno.serve"
