"""Recorded requests of the real CLI, replayed: taken as the platform takes them, answered in the shape it read."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from migration.rehearsal.multipart import LAYOUTS, read_upload
from tests.support.platform import Platform

FOLDER = Path(__file__).parents[2] / "data" / "recorded"
REF = "abcdefghijklmnopqrst"
TYPES: dict[str, type | tuple[type, ...]] = {
    "id": str, "slug": str, "name": str, "status": str, "version": int, "created_at": int, "updated_at": int,
    "verify_jwt": bool, "import_map": bool, "entrypoint_path": str, "import_map_path": str, "ezbr_sha256": str,
}  # fmt: skip
NEEDED = ("id", "slug", "name", "status", "version", "created_at", "updated_at")
STATUSES = ("ACTIVE", "REMOVED", "THROTTLED")


def recorded(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / f"{name}.jsonl").read_text().splitlines()]


UPLOADS = [row for row in recorded("deploy") if row["method"] == "POST"]
INPUTS = json.loads((FOLDER / "inputs.json").read_text())
BINARY = base64.b64decode(INPUTS["empty_and_binary"]["files"]["supabase/functions/hello/b.bin"]["base64"])


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    return Platform(tmp_path, bundle_check=False)


def conforms(row: dict[str, Any]) -> None:
    """What both of the CLI's parsers of a function object demand."""
    assert set(NEEDED) <= set(row)
    for name, value in row.items():
        assert isinstance(value, TYPES[name]) and (name == "verify_jwt" or value is not None), (name, value)
        assert not (TYPES[name] is int and isinstance(value, bool))
    assert row["status"] in STATUSES


def content(part: dict[str, Any]) -> bytes:
    return part["text"].encode() if "text" in part else BINARY


def multipart(parts: list[dict[str, Any]]) -> bytes:
    """The body as the CLI sent it, part by part."""
    body = b""
    for part in parts:
        named = f'; filename="{part["filename"]}"' if part["filename"] is not None else ""
        kind = f"\r\nContent-Type: {part['content_type']}" if part["content_type"] else ""
        head = f'--b\r\nContent-Disposition: form-data; name="{part["name"]}"{named}{kind}\r\n\r\n'
        body += head.encode() + content(part) + b"\r\n"
    return body + b"--b--\r\n"


def send(platform: Platform, row: dict[str, Any]) -> Any:
    kind = {"content-type": "multipart/form-data; boundary=b"}
    return platform.ask("POST", "/functions/deploy", params=row["query"], content=multipart(row["parts"]), headers=kind)


def test_the_one_binary_part_is_the_recorded_one() -> None:
    binary = [part for row in UPLOADS for part in row["parts"] if "text" not in part]
    assert [part["sha256"] for part in binary] == [hashlib.sha256(BINARY).hexdigest()]


@pytest.mark.parametrize("row", UPLOADS, ids=lambda row: f"{row['scenario']}-{row['query']['slug']}")
def test_every_recorded_upload_is_taken_and_kept_byte_for_byte(platform: Platform, row: dict[str, Any]) -> None:
    answer = send(platform, row)
    files = {part["filename"]: content(part) for part in row["parts"] if part["filename"] is not None}
    metadata = json.loads(row["parts"][-1]["text"])
    if metadata["entrypoint_path"] not in files:
        assert answer.status_code == 400
        return
    assert answer.status_code == 201
    conforms(answer.json())
    assert answer.json().get("verify_jwt") == metadata.get("verify_jwt", True)
    stored = platform.sandbox.folder / "bundles" / row["query"]["slug"] / "1"
    kept = {path.relative_to(stored).as_posix(): path.read_bytes() for path in stored.rglob("*") if path.is_file()}
    assert kept == {_plain(path): data for path, data in files.items()}


def _plain(path: str) -> str:
    return path.replace("%22", '"').replace("%0A", "\n")


def test_a_recorded_activation_built_from_our_answers_goes_through(platform: Platform) -> None:
    recorded_put = next(row for row in recorded("deploy") if row["method"] == "PUT")
    keys = {key for each in recorded_put["body_json"] for key in each}
    answers = [platform.hello(slug, stage=True).json() for slug in ("alpha", "beta")]
    sent = [{key: answer[key] for key in sorted(keys) if key in answer} for answer in answers]
    answer = platform.ask("PUT", "/functions", json=sent)
    assert answer.status_code == 200
    for each in answer.json()["functions"]:
        conforms(each)
    for each in platform.ask("GET", "/functions").json():
        conforms(each)


def test_the_list_is_json_and_so_is_every_error(platform: Platform) -> None:
    for path in ("/functions", "/functions/nobody", "/functions/nobody/body", "/nothing"):
        answer = platform.ask("GET", path)
        if answer.status_code != 200 and path != "/nothing":
            assert set(answer.json()) == {"message"}
        assert path == "/nothing" or "json" in answer.headers["content-type"]


SECRETS = [row for row in recorded("secrets") if row["method"] != "GET" and "body_json" in row]


@pytest.mark.parametrize("row", SECRETS, ids=lambda row: row["scenario"])
def test_recorded_changes_of_secrets_get_the_recorded_status(platform: Platform, row: dict[str, Any]) -> None:
    answer = platform.ask(row["method"], "/secrets", json=row["body_json"])
    if any(isinstance(each, dict) and not each["name"] for each in row["body_json"]):
        assert answer.status_code == 400  # the recording server had no rules for names
        return
    assert answer.status_code == row["response_status"]
    held = {each["name"]: each["value"] for each in platform.ask("GET", "/secrets").json()}
    digest: Callable[[str], str] = lambda value: hashlib.sha256(value.encode()).hexdigest()  # noqa: E731
    for each in row["body_json"] if row["method"] == "POST" else []:
        assert held[each["name"]] == digest(each["value"])


def test_the_list_of_secrets_has_the_keys_and_types_of_the_recorded_one(platform: Platform) -> None:
    platform.ask("POST", "/secrets", json=[{"name": "A", "value": "x"}])
    known = next(row for row in recorded("secrets") if row["scenario"] == "secrets_list")["response_json"]
    shapes = {frozenset((key, type(value)) for key, value in row.items()) for row in known}
    ours = {
        frozenset((key, type(value)) for key, value in row.items()) for row in platform.ask("GET", "/secrets").json()
    }
    assert ours == shapes


DOWNLOADS = ("download_typical", "download_file_url_entry", "download_recorded_style")


@pytest.mark.parametrize(("scenario", "layout"), list(zip(DOWNLOADS, LAYOUTS, strict=True)))
def test_a_download_has_the_parts_of_the_recorded_one_in_each_layout(
    platform: Platform, scenario: str, layout: str
) -> None:
    row = next(row for row in recorded("functions") if row["scenario"] == scenario)
    metadata = json.loads(row["response_text"].split("\r\n\r\n")[1].split("\r\n--")[0])
    platform.hello()
    platform.fault("body", "layout", layout=layout)
    answer = platform.ask("GET", "/functions/hello/body")
    uploaded = _parts(answer.headers["content-type"], answer.content)
    assert set(uploaded["metadata"]) == set(metadata)
    known = next(iter(metadata.values()))
    ours = next(iter(uploaded["metadata"].values()))
    assert ours.startswith("file:///tmp/user_fn_") == known.startswith("file:///tmp/user_fn_")
    assert ours.startswith("source/") == known.startswith("source/")
    assert uploaded["paths"] == [ours.removeprefix("file://")]


def _parts(kind: str, body: bytes) -> dict[str, Any]:
    """Metadata and paths, read without the reader of uploads: it refuses absolute paths."""
    boundary = kind.split("boundary=")[1].encode()
    pieces = body.split(b"--" + boundary)[1:-1]
    metadata = json.loads(pieces[0].split(b"\r\n\r\n")[1])
    return {
        "metadata": metadata,
        "paths": [piece.decode().split('filename="')[1].split('"')[0] for piece in pieces[1:]],
    }


def test_what_was_downloaded_can_be_uploaded_again(platform: Platform) -> None:
    platform.hello()
    answer = platform.ask("GET", "/functions/hello/body")
    again = read_upload(answer.headers["content-type"], answer.content)
    assert again.files == {"source/supabase/functions/hello/index.ts": b'Deno.serve(() => new Response("hi"));\n'}
