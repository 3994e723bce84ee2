"""Reading multipart bodies: downloaded functions, and the uploads that the sandbox takes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.message import Message
from typing import Any
from urllib.parse import unquote

from migration.base import strictjson


def parts(content_type: str, body: bytes) -> tuple[Mapping[str, Any], dict[str, bytes]]:
    """Metadata ({} without one) and files by path; a part's path is its `Supabase-Path`, else its file name."""
    metadata: Mapping[str, Any] = {}
    files: dict[str, bytes] = {}
    for head, data in split(content_type, body):
        path = file_path(head)
        if path:
            files[path] = data
        elif data[:1] == b"{":
            metadata = _metadata(data)
    return metadata, files


def split(content_type: str, body: bytes) -> list[tuple[dict[str, str], bytes]]:
    """Headers (names in lower case) and data of each part. ValueError for another content type and for a cut body."""
    message = Message()  # not EmailMessage, whose policy takes longer to import than the answer to arrive
    message["content-type"] = content_type
    boundary = message.get_param("boundary")
    if not content_type.lower().startswith("multipart/") or not boundary:
        raise ValueError(f"expected a multipart answer, got {content_type or 'no content type'}")
    marked = b"\r\n" + body
    delimiter = b"\r\n--" + str(boundary).encode()
    pieces = marked.split(delimiter)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise ValueError("the multipart answer is cut off")
    parsed = []
    for piece in pieces[1:-1]:
        head, _, data = piece.lstrip(b" \t").removeprefix(b"\r\n").partition(b"\r\n\r\n")
        rows = (row.partition(":") for row in head.decode("utf-8", "replace").split("\r\n"))
        parsed.append(({name.strip().lower(): value.strip() for name, _, value in rows}, data))
    return parsed


def file_path(head: Mapping[str, str]) -> str:
    """The path that a part names; empty for a part that is not a file."""
    direct = head.get("supabase-path", "")
    if direct:
        return direct
    disposition = head.get("content-disposition", "")
    extended = re.search(r"filename\*\s*=\s*UTF-8''([^;]+)", disposition, re.IGNORECASE)
    if extended:
        return unquote(extended[1].strip())
    plain = re.search(r'filename\s*=\s*"((?:[^"\\]|\\.)*)"|filename\s*=\s*([^;]+)', disposition)
    if not plain:
        return ""
    return (plain[1] if plain[1] is not None else plain[2]).replace("%22", '"').replace("%0A", "\n").strip()


def _metadata(data: bytes) -> Mapping[str, Any]:
    try:
        metadata = strictjson.loads(data)
    except ValueError:
        raise ValueError("its metadata is not JSON") from None
    if not isinstance(metadata, dict):
        raise ValueError("its metadata is not an object")
    return metadata
