"""Uploads are read as they were sent, and nothing in them can leave the function's folder."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migration.clients.multipart import parts
from migration.rehearsal.multipart import LAYOUTS, MalformedUpload, read_upload, write_body

KIND = "multipart/form-data; boundary=b"
ABOUT = b'--b\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n{}\r\n'


def file(path: str, data: bytes = b"x") -> bytes:
    return f'--b\r\nContent-Disposition: form-data; name="file"; filename="{path}"\r\n\r\n'.encode() + data + b"\r\n"


def test_names_are_read_with_the_three_characters_that_the_cli_escapes() -> None:
    found = read_upload(KIND, file("a%22b%0Ac%25 é.ts") + ABOUT + b"--b--\r\n")
    assert list(found.files) == ['a"b\nc%25 é.ts']


def test_a_quoted_boundary_an_empty_file_and_bytes_that_look_like_a_boundary_are_fine() -> None:
    data = b"--b\r\n--b--\n\r\n-- b"
    found = read_upload(
        'multipart/form-data; boundary="b"', file("a", data.replace(b"--b", b"- b")) + file("e", b"") + ABOUT + b"--b--"
    )
    assert found.files == {"a": data.replace(b"--b", b"- b"), "e": b""}


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../x", "a/../../x", "a/", "a\0b", "a" * 256])
def test_a_path_that_could_leave_the_folder_is_refused(path: str) -> None:
    with pytest.raises(MalformedUpload, match="Invalid file path"):
        read_upload(KIND, file(path) + ABOUT + b"--b--\r\n")


@pytest.mark.parametrize(
    "body",
    [b"", b"--b--\r\n", file("a") + b"--b--\r\n", file("a") + ABOUT, ABOUT.replace(b"{}", b"[]") + b"--b--\r\n",
     ABOUT.replace(b"{}", b"{") + b"--b--\r\n", b"--b\r\nno header\r\n--b--\r\n"],
    ids=["empty", "no-parts", "no-metadata", "cut", "array", "no-json", "no-header"],
)  # fmt: skip
def test_what_is_no_upload_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedUpload):
        read_upload(KIND, body)


def test_a_file_where_another_needs_a_folder_is_refused() -> None:
    with pytest.raises(MalformedUpload, match="Invalid file path: a"):
        read_upload(KIND, file("a/b/c.ts") + file("a/b") + ABOUT + b"--b--\r\n")


@pytest.mark.parametrize("kind", ["", "application/json", "multipart/form-data", "multipart/mixed; boundary=b"])
def test_another_content_type_is_refused(kind: str) -> None:
    with pytest.raises(MalformedUpload, match="multipart/form-data"):
        read_upload(kind, file("a") + ABOUT + b"--b--\r\n")


NAMES = st.text(st.characters(categories=("L", "N"), include_characters='"_-@[] .'), min_size=1, max_size=8)
PATHS = st.lists(NAMES.filter(lambda name: name.strip(" .") == name), min_size=1, max_size=3).map("/".join)


@pytest.mark.parametrize("layout", LAYOUTS)
@settings(max_examples=40, deadline=None)
@given(files=st.dictionaries(PATHS, st.binary(max_size=50), max_size=4))
def test_a_client_reads_back_every_file_of_a_download(layout: str, files: dict[str, bytes]) -> None:
    entrypoint = next(iter(files), "index.ts")
    metadata, found = parts(*write_body(files, entrypoint, layout, "ref_id_1"))
    prefix = {"source": "source/", "file-url": "/tmp/user_fn_ref_id_1/source/", "bare": ""}[layout]
    assert found == {prefix + path: data for path, data in files.items()}
    assert {str(path).removeprefix("file://") for path in metadata.values()} == {prefix + entrypoint}
