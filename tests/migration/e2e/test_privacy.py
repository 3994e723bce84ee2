"""What is kept of a trace holds no known secret, in whatever form; nothing else of it changes. No browser."""

from __future__ import annotations

import base64
import zipfile
from pathlib import Path
from urllib.parse import quote

from migration.base.secrets_type import Secret
from migration.e2e import privacy

VALUE = "s3cret/with+signs-55801"


def test_every_entry_of_a_trace_is_cleaned(tmp_path: Path) -> None:
    """Text is masked, also in its URL and base64 forms; a binary entry that holds the value is left out."""
    Secret(VALUE)
    picture = b"\x89PNG\xff\x00"
    entries = {
        "trace.network": f'{{"url": "https://x/?t={quote(VALUE, safe="")}", "auth": "{VALUE}"}}'.encode(),
        "resources/a.txt": base64.b64encode(f"user:{VALUE}".encode()),
        "resources/b.bin": b"\xff\xfe" + VALUE.encode(),
        "resources/c.png": picture,
    }
    with zipfile.ZipFile(tmp_path / "raw.zip", "w") as raw:
        for name, data in entries.items():
            raw.writestr(name, data)
    privacy.clean(tmp_path / "raw.zip", tmp_path / "clean.zip")
    with zipfile.ZipFile(tmp_path / "clean.zip") as archive:
        kept = {name: archive.read(name) for name in archive.namelist()}
    assert set(kept) == {"trace.network", "resources/a.txt", "resources/c.png"} and kept["resources/c.png"] == picture
    assert b"[REDACTED]" in kept["trace.network"] and b"[REDACTED]" in kept["resources/a.txt"]
    for data in kept.values():
        assert VALUE.encode() not in data and quote(VALUE, safe="").encode() not in data
