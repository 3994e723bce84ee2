"""The errors of Cutover, in one picture.

CutoverError
├── Failed          1  what was tested failed
├── Refused         2  refused or misused, nothing changed
│   └── ConfigError    a mistake in config.yaml or .env
├── ServiceFailed   3  a service failed us, nothing changed or everything put back
│   ├── Unreachable    nothing was sent
│   ├── Unknown        bytes were sent, the effect is unknown
│   └── ApiError       the service answered with an error
└── Unfinished      5  between two states: a person or the next command is needed

Not enough evidence (4) is a result, no error.

Interrupted       130  one of the three signals (not an Exception, so that no `except Exception` eats it)
"""

from __future__ import annotations

from typing import Any

from migration.base import command
from migration.base.command import Step, Steps


class CutoverError(Exception):
    """A message for a person, what to type next, and the exit code that goes with it.

    `cause`: the same text for the same cause, whatever was being done; the message where nothing else is given.
    """

    exit_code = 1

    def __init__(self, message: str, *steps: Step | Steps, cause: str = "", **data: Any) -> None:
        if not message:
            raise ValueError("an error needs a message")
        super().__init__(message)
        self.message = message
        self.cause = cause or message
        self.steps: tuple[Step, ...] = command.steps(*steps).steps
        self.data = data

    @property
    def hint(self) -> str:
        """The steps as text, a line each."""
        return "\n".join(map(str, self.steps))


class Failed(CutoverError):
    exit_code = 1


class Refused(CutoverError):
    exit_code = 2


class ConfigError(Refused):
    pass


class ServiceFailed(CutoverError):
    exit_code = 3


class Unreachable(ServiceFailed):
    """The connection was never made: nothing can have changed."""


class Unknown(ServiceFailed):
    """The request left this machine and no whole answer came back: read back before sending again."""


class Oversized(Unknown):
    """An answer larger than any that is expected: reading it again would not help."""


class ApiError(ServiceFailed):
    """An error answer; `status` and `body` as the service sent them, `retry_after` in seconds."""

    def __init__(
        self,
        message: str,
        *steps: Step | Steps,
        status: int,
        body: str,
        operation: str,
        retry_after: float | None = None,
    ) -> None:
        cause = message if status in (403, 404) else message.removeprefix(f"{operation}: ")  # those are about one thing
        super().__init__(message, *steps, cause=cause, status=status, operation=operation)
        self.status = status
        self.body = body
        self.operation = operation
        self.retry_after = retry_after


class Unfinished(CutoverError):
    exit_code = 5


class Interrupted(BaseException):
    """SIGINT, SIGTERM or SIGHUP, raised in the main thread by the handlers of `cli`."""

    exit_code = 130

    def __init__(self, signal_name: str = "SIGINT") -> None:
        super().__init__(signal_name)
        self.signal_name = signal_name
