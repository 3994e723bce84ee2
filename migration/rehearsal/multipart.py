"""Uploads as the CLI sends them, and downloads in the shapes that the platform was seen to answer."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

_LONGEST = 255  # bytes of one name, as file systems have it
LAYOUTS = ("source", "file-url", "bare")
_BOUNDARY = re.compile(r'\bboundary=(?:"([^"]+)"|([^\s;]+))', re.IGNORECASE)
_NAME = re.compile(r'(?<!file)name="([^"]*)"')
_FILENAME = re.compile(r'\bfilename="([^"]*)"')


class Malformed(ValueError):
    """An upload that the platform would refuse; the text is its message."""


@dataclass(frozen=True)
class Uploaded:
    """Files by their sent path (relative to the project root) and the metadata part."""

    files: Mapping[str, bytes]
    metadata: Mapping[str, Any]


def read_upload(content_type: str, body: bytes) -> Uploaded:
    """Malformed when a part, a path or the metadata is not what a deploy sends."""
    files: dict[str, bytes] = {}
    metadata: Mapping[str, Any] | None = None
    for head, data in _parts(content_type, body):
        name, path = _NAME.search(head), _FILENAME.search(head)
        if path:
            files[_inside(_unescaped(path[1]))] = data
        elif name and name[1] == "metadata":
            metadata = _object(data)
    if metadata is None:
        raise Malformed("metadata: Required")
    _no_folder(files)
    return Uploaded(files, metadata)


def _parts(content_type: str, body: bytes) -> Iterator[tuple[str, bytes]]:
    found = _BOUNDARY.search(content_type)
    if not content_type.lower().startswith("multipart/form-data") or not found:
        raise Malformed("Expected a multipart/form-data body")
    pieces = (b"\r\n" + body).split(b"\r\n--" + (found[1] or found[2]).encode())
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise Malformed("Unexpected end of form")
    for piece in pieces[1:-1]:
        head, blank, data = piece.partition(b"\r\n\r\n")
        if not blank:
            raise Malformed("Malformed part header")
        yield head.decode("utf-8", "replace"), data


def _unescaped(name: str) -> str:
    return name.replace("%22", '"').replace("%0A", "\n").replace("%0D", "\r")


def _inside(path: str) -> str:
    """A path that could leave the function's folder must never be written."""
    clean = PurePosixPath(path)
    long = any(len(part.encode()) > _LONGEST for part in clean.parts)
    if not path or clean.is_absolute() or ".." in clean.parts or "\0" in path or path.endswith("/") or long:
        raise Malformed(f"Invalid file path: {path}")
    return str(clean)


def _no_folder(paths: Iterable[str]) -> None:
    """No file may lie where another one needs a folder."""
    folders = {str(parent) for path in paths for parent in PurePosixPath(path).parents}
    for path in paths:
        if path in folders:
            raise Malformed(f"Invalid file path: {path}")


def _object(data: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:
        raise Malformed("metadata: Expected a JSON object") from None
    if not isinstance(found, dict):
        raise Malformed("metadata: Expected a JSON object")
    return found


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
