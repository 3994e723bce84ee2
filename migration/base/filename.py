"""Names from outside as parts of a path: one narrow alphabet, everything else is refused.

Function ids and slugs come from the Management API, deployment ids from the shared ledger; either could hold `../`.
"""

from __future__ import annotations

import re

from migration.base.command import inv
from migration.base.errors import Refused

LONGEST = 120  # characters; a file name may have 255 bytes, and ours get endings
PATTERN = r"\A[A-Za-z0-9_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*\Z"  # no separator, no leading dot or dash, no `..`
_ALLOWED = re.compile(PATTERN)


def filename(name: object, what: str) -> str:
    """The name, if it may be one part of a path (or of a git ref); Refused otherwise, naming `what` it is."""
    text = str(name)
    if len(text) > LONGEST or not _ALLOWED.fullmatch(text):
        raise Refused(
            f"{what} {text[:60]!r} cannot be a file name: only letters, digits, '.', '_' and '-' are allowed.",
            inv("doctor"),
        )
    return text
