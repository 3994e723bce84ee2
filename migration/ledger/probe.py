"""Whether a git host can carry the ledger and the lock: four pushes to a temporary ref."""

from __future__ import annotations

import secrets

from migration.base.errors import CutoverError
from migration.git.refs import Move
from migration.ledger.ledger import Ledger


def probe(ledger: Ledger) -> str | None:
    """What the host cannot do, as a sentence, or None (also without a remote). Leaves nothing behind.

    Tried are: creating a ref, refusing to create it twice, moving two refs at once, deleting them.
    """
    if not ledger.shared:
        return None
    refs, name = ledger.refs, f"{ledger.prefix}/probe/{secrets.token_hex(4)}"
    first, second = (ledger.repository.commit(f"probe {secrets.token_hex(8)}") for _ in range(2))
    one, two = f"{name}/one", f"{name}/two"
    if error := refs.move([Move(one, None, first)]):
        return _unable("accept a new ref", error)
    try:
        if refs.move([Move(one, None, second)]) is None:
            return "The git host lets two processes create the same ref: two deployments could hold the lock at once."
        if error := refs.move([Move(one, first, second), Move(two, None, first)]):
            return _unable("move two refs at once", error)
    finally:
        left = refs.read()
        gone = [Move(ref, left[ref], None) for ref in (one, two) if ref in left]
        failed = refs.move(gone) if gone else None
    return _unable("delete a ref", failed) if failed else None


def _unable(what: str, error: CutoverError) -> str:
    return f"The git host does not {what}. {error.message}"
