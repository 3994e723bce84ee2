"""Uploads as the CLI sends them, and downloads in the shapes that the platform was seen to answer."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from migration.clients.multipart import file_path, split

_LONGEST = 255  # bytes of one name, as file systems have it
LAYOUTS = ("source", "file-url", "bare")


class MalformedUpload(ValueError):
    """An upload that the platform would refuse; the text is its message."""


@dataclass(frozen=True)
class BundleUpload:
    """Files by their sent path (relative to the project root) and the metadata part."""

    files: Mapping[str, bytes]
    metadata: Mapping[str, Any]


def read_upload(content_type: str, body: bytes) -> BundleUpload:
    """Malformed when a part, a path or the metadata is not what a deploy sends."""
    files: dict[str, bytes] = {}
    metadata: Mapping[str, Any] | None = None
    for head, data in _parts(content_type, body):
        disposition = head.get("content-disposition", "")
        if "filename" in disposition:
            files[_inside(file_path(head))] = data
        elif 'name="metadata"' in disposition:
            metadata = _object(data)
    if metadata is None:
        raise MalformedUpload("metadata: Required")
    _no_folder(files)
    return BundleUpload(files, metadata)


def _parts(content_type: str, body: bytes) -> list[tuple[dict[str, str], bytes]]:
    if not content_type.lower().startswith("multipart/form-data"):
        raise MalformedUpload("Expected a multipart/form-data body")
    try:
        return split(content_type, body)
    except ValueError as error:
        whole = "cut off" in str(error)
        raise MalformedUpload("Unexpected end of form" if whole else "Expected a multipart/form-data body") from None


def _inside(path: str) -> str:
    """A path that could leave the function's folder must never be written."""
    clean = PurePosixPath(path)
    long = any(len(part.encode()) > _LONGEST for part in clean.parts)
    if not path or clean.is_absolute() or ".." in clean.parts or "\0" in path or path.endswith("/") or long:
        raise MalformedUpload(f"Invalid file path: {path}")
    return str(clean)


def _no_folder(paths: Iterable[str]) -> None:
    """No file may lie where another one needs a folder."""
    folders = {str(parent) for path in paths for parent in PurePosixPath(path).parents}
    for path in paths:
        if path in folders:
            raise MalformedUpload(f"Invalid file path: {path}")


def _object(data: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(data)
    except ValueError:
        raise MalformedUpload("metadata: Expected a JSON object") from None
    if not isinstance(value, dict):
        raise MalformedUpload("metadata: Expected a JSON object")
    return value


def write_body(files: Mapping[str, bytes], entrypoint: str, layout: str, name: str) -> tuple[str, bytes]:
    """Content type and body of a download; `name` is the folder that a `file-url` layout mentions."""
    boundary = "----cutover" + secrets.token_hex(16)
    metadata = json.dumps(_entrypoint(entrypoint, layout, name)).encode()
    head = b'Content-Disposition: form-data; name="metadata"\r\nContent-Type: application/json'
    pieces = [_part(boundary, head, metadata)]
    pieces += [_part(boundary, _head(_placed(path, layout, name)), data) for path, data in files.items()]
    return f"multipart/form-data; boundary={boundary}", b"".join(pieces) + f"--{boundary}--\r\n".encode()


def source_root(name: str) -> str:
    return f"/tmp/user_fn_{name}/source/"


def _entrypoint(path: str, layout: str, name: str) -> dict[str, str]:
    placed = _placed(path, layout, name)
    if layout == "source":
        return {"deno2_entrypoint_path": placed, "entrypoint_path": placed}
    return {"entrypoint_path": f"file://{placed}"} if layout == "file-url" else {"deno2_entrypoint_path": placed}


def _placed(path: str, layout: str, name: str) -> str:
    if layout == "bare":
        return path
    return ("source/" if layout == "source" else source_root(name)) + path


def _head(path: str) -> bytes:
    escaped = path.replace('"', "%22").replace("\n", "%0A").replace("\r", "%0D")
    disposition = f'Content-Disposition: form-data; name="file"; filename="{escaped}"'
    return f"{disposition}\r\nContent-Type: application/octet-stream".encode()


def _part(boundary: str, head: bytes, data: bytes) -> bytes:
    return b"--" + boundary.encode() + b"\r\n" + head + b"\r\n\r\n" + data + b"\r\n"
