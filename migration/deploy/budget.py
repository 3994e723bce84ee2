"""What is left of the platform's rate limit on uploads, for every call of one run: staging, activation, restore.

The limit counts calls a window, per route (https://supabase.com/docs/reference/api/introduction, "Rate limits"); each
answer says in its headers what is left. A deploy that cannot go through in one window waits before its first upload,
where nothing is staged yet.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from migration.base.clock import Clock
from migration.base.durations import show
from migration.base.errors import ApiError, CutoverError
from migration.clients.quota import Quota

if TYPE_CHECKING:
    from migration.context import Context

UPLOADS = "POST /v1/projects/…/functions/deploy"
UNSEEN = 1.0  # seconds between looks where a window is used up and no answer has named the next one


@dataclass
class RequestBudget:
    """One for a run. Safe from several threads."""

    context: Context
    _guard: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _answer: Quota | None = None  # the newest answer that was counted
    _left: int = 0
    _began: float | None = None  # when a window began that no answer has named yet

    @property
    def limit(self) -> int | None:
        """Uploads a window; None where no answer has named it."""
        quota = self._newest()
        return quota.limit if quota else None

    def take(self) -> float:
        """Takes one upload out of the window; else the seconds until it makes sense to ask again."""
        with self._guard:
            left, wait = self._state()
            if left is None:
                return 0.0
            if left > 0:
                self._left -= 1
                return 0.0
            return wait

    def lacking(self, uploads: int) -> float:
        """Seconds until the window holds so many uploads, or as many as a whole window holds; 0 if it does now."""
        with self._guard:
            left, wait = self._state()
            quota = self._newest()
            if left is None or quota is None or left >= min(uploads, quota.limit):
                return 0.0
            return wait

    def learn(self, uploads: int) -> None:
        """Asks what is left of the limit, where so many uploads may be too many and no answer has named it. The
        request names neither a function nor files, so the platform refuses it and nothing changes."""
        others = [quota.limit for quota in self._quotas().values()]
        if self._newest() is None and others and 2 * uploads >= min(others):
            try:
                self.context.supabase.upload_limit()
            except CutoverError:
                return  # the uploads find out

    def _quotas(self) -> dict[str, Quota]:
        return self.context.management.quotas

    def _newest(self) -> Quota | None:
        return self._quotas().get(UPLOADS)

    def _state(self) -> tuple[int | None, float]:
        """Uploads left now (None: unknown), and the seconds until the window is over."""
        quota, now = self._newest(), self.context.clock.monotonic()
        if quota is None:
            return None, 0.0
        if quota is not self._answer:
            known = self._answer is not None and self._began is None and not _over(self._answer, quota.at)
            self._left = min(self._left, quota.left) if known else quota.left
            self._answer, self._began = quota, None
        if self._began is None and _over(quota, now):
            self._left, self._began = quota.limit, now
        wait = UNSEEN if self._began is not None else max(quota.at + quota.reset - now, 0.1)
        return self._left, wait


def _over(quota: Quota, now: float) -> bool:
    return now >= quota.at + quota.reset


def limited(error: CutoverError | None) -> bool:
    """Whether the platform asks to come back later, by its rate limit or by name; it carried nothing out."""
    if not isinstance(error, ApiError):
        return False
    return error.status == 429 or (error.status == 503 and error.retry_after is not None)


def until(clock: Clock, seconds: float) -> str:
    """`43s, until 14:53:15Z`."""
    return f"{show(seconds)}, until {clock.now() + timedelta(seconds=seconds):%H:%M:%SZ}"
