from __future__ import annotations

import pytest

from migration.clients.multipart import parts


def _body(*pieces: tuple[str, bytes]) -> bytes:
    rows = [f"--b\r\n{head}\r\n\r\n".encode() + data + b"\r\n" for head, data in pieces]
    return b"".join(rows) + b"--b--\r\n"


def test_a_part_is_known_by_supabase_path_then_extended_then_plain_file_name() -> None:
    body = _body(
        ('Content-Disposition: form-data; name="metadata"', b'{"entrypoint_path": "a"}'),
        ('Content-Disposition: form-data; name="file"; filename="x.ts"\r\nSupabase-Path: source/real.ts', b"1"),
        ('Content-Disposition: form-data; name="file"; filename="x"; filename*=UTF-8\'\'gr%C3%BCn.ts', b"2"),
        ('Content-Disposition: form-data; name="other"; filename="plain %22q%22.ts"', b"line\r\n\r\nmore"),
    )
    metadata, files = parts('multipart/form-data; boundary="b"', body)
    assert metadata == {"entrypoint_path": "a"}
    assert files == {"source/real.ts": b"1", "grün.ts": b"2", 'plain "q".ts': b"line\r\n\r\nmore"}


def test_bytes_come_through_unchanged() -> None:
    data = bytes(range(256)) + b"\r\n--not-the-boundary\r\n"
    _, files = parts("multipart/mixed; boundary=b", _body(('Content-Disposition: form-data; filename="x.bin"', data)))
    assert files == {"x.bin": data}


@pytest.mark.parametrize(
    "kind,body",
    [("application/json", b"{}"), ("multipart/form-data; boundary=b", b"--b\r\n\r\ncut"), ("multipart/form-data", b"")],
)
def test_what_is_no_whole_multipart_is_refused(kind: str, body: bytes) -> None:
    with pytest.raises(ValueError, match=r"expected a multipart answer|cut off"):
        parts(kind, body)
