"""What `inv doctor` finds of the notifiers, and the test message that `inv doctor --fix` offers to send."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from migration.base.command import Do, Steps, inv
from migration.base.errors import CutoverError, ServiceFailed
from migration.base.finding import Finding
from migration.watch import notify
from migration.watch.model import Surroundings
from migration.watch.notify import Notifiers

if TYPE_CHECKING:
    from migration.context import Context


@dataclass
class NotifierCheck:
    """The notifiers of one environment; each URL is checked once, and nothing is sent before `offers` are taken up."""

    context: Context

    @cached_property
    def _known(self) -> Notifiers | CutoverError:
        try:
            return notify.of(self.context.config.watch, self.context.environment.embedded)
        except CutoverError as error:
            return error

    def find(self) -> Iterator[Finding]:
        """A watch that would not begin: a URL without a value, one that cannot be used, or no Apprise."""
        if isinstance(self._known, CutoverError):
            error = self._known
            yield Finding("notify", "inv watch cannot notify anyone", error.message, Steps(error.steps), "warning")

    def offers(self) -> Iterator[Finding]:
        """A test message, if there is anyone to send it to."""
        if isinstance(self._known, Notifiers) and self._known.all:
            what = Steps((Do(notify.offer(self._known)),))
            yield Finding("notify_test", "watch.notify", "", what, "warning", safe=True, apply=self._test)

    def _test(self) -> str:
        assert isinstance(self._known, Notifiers)
        own = self.context
        around = Surroundings(own.environment.name, "", "", (), own.ledger.who)
        deliveries = self._known.test(around, own.clock.now())
        words = notify.sent(deliveries)
        if not all(one.took for one in deliveries):
            again = inv("doctor", fix=True)
            raise ServiceFailed(f"test message: {words}", Do("correct watch.notify, then send another:"), again)
        return f"sent a test message: {words}"
