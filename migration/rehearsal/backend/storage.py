"""`/storage/v1`: buckets and objects as storage-js uses them. No policy applies; pictures are not transformed.

storage:
  avatars: {public: true, files: {ada.png: stubs/ada.png}, file_size_limit: 1000000, allowed_mime_types: [image/png]}

Files are named relative to config.yaml. https://supabase.com/docs/guides/storage/debugging/error-codes
"""

from __future__ import annotations

import hashlib
import json
import mimetypes
import re
import shutil
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jwt
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from migration.base import durable
from migration.clients.multipart import split
from migration.rehearsal.backend.access import claims, serves
from migration.rehearsal.backend.grammar import LOCAL
from migration.rehearsal.backend.users import now
from migration.rehearsal.mistake import SettingError
from migration.rehearsal.types import Sandbox

_KEYS = frozenset({"public", "files", "file_size_limit", "allowed_mime_types"})
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
_SHOWN = 100  # entries of a list, by default
_NAME = re.compile(r'\bname="([^"]*)"')
_AUTHORIZED = "headers must have required property 'authorization'"


def found(settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The section with every file's path made whole; what has another form is left for `Buckets` to refuse."""
    return {
        name: {**about, "files": {path: str(folder / str(file)) for path, file in about["files"].items()}}
        if isinstance(about, Mapping) and isinstance(about.get("files"), Mapping)
        else about
        for name, about in settings.items()
    }


class StorageError(Exception):
    """Storage's own answer: HTTP 400, with the status that it means inside."""

    def __init__(self, status: int, error: str, message: str) -> None:
        super().__init__(message)
        self.body = {"statusCode": str(status), "error": error, "message": message}


@dataclass
class Stored:
    """One object; `file` names what holds its bytes."""

    id: str
    path: str
    file: str
    size: int
    kind: str
    cache: str
    owner: str | None
    created: str
    updated: str
    metadata: dict[str, Any] = field(default_factory=dict)

    def shown(self, name: str) -> dict[str, Any]:
        about = {
            "eTag": f'"{self.file[:32]}"', "size": self.size, "mimetype": self.kind, "cacheControl": self.cache,
            "lastModified": self.updated, "contentLength": self.size, "httpStatusCode": 200,
        }  # fmt: skip
        moments = {"updated_at": self.updated, "created_at": self.created, "last_accessed_at": self.updated}
        return {"name": name, "id": self.id, **moments, "metadata": about}


@dataclass
class Bucket:
    id: str
    public: bool = False
    file_size_limit: int | None = None
    allowed_mime_types: list[str] | None = None
    created: str = "2026-01-01T00:00:00Z"
    objects: dict[str, Stored] = field(default_factory=dict)

    def shown(self) -> dict[str, Any]:
        about = {name: value for name, value in vars(self).items() if name not in ("objects", "created")}
        return {**about, "name": self.id, "owner": "", "created_at": self.created, "updated_at": self.created}

    def object(self, path: str) -> Stored:
        if path not in self.objects:
            raise StorageError(404, "not_found", "Object not found")
        return self.objects[path]


class Buckets:
    """All buckets, written to `folder` with each change."""

    def __init__(self, settings: Mapping[str, Any], folder: Path) -> None:
        self.folder = folder
        self._settings = _checked(settings)
        self.known: dict[str, Bucket] = {}
        if not self._load():
            self.reset()

    def reset(self) -> None:
        """The buckets and files of the settings."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.known = {}
        for name, about in self._settings.items():
            plain = {key: value for key, value in (about or {}).items() if key != "files" and value is not None}
            if "file_size_limit" in plain:
                plain["file_size_limit"] = _bytes(plain["file_size_limit"])
            bucket = self.known[name] = Bucket(name, **plain)
            for path, file in ((about or {}).get("files") or {}).items():
                kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
                self.put(bucket, path, _content(name, Path(file)), kind)

    def bucket(self, name: str) -> Bucket:
        if name not in self.known:
            text = f"Bucket not found. The sandbox has no bucket {name}: add rehearsal.storage.{name} to config.yaml"
            raise StorageError(404, "Bucket not found", text)
        return self.known[name]

    def put(
        self, bucket: Bucket, path: str, data: bytes, kind: str, *, cache: str = "max-age=3600",
        owner: str | None = None, upsert: bool = True, metadata: Mapping[str, Any] | None = None,
    ) -> Stored:  # fmt: skip
        """Keep an object. StorageError for one that is there already, or that the bucket does not take."""
        before = bucket.objects.get(path)
        if before is not None and not upsert:
            raise StorageError(409, "Duplicate", "The resource already exists")
        if bucket.file_size_limit and len(data) > bucket.file_size_limit:
            raise StorageError(413, "Payload too large", "The object exceeded the maximum allowed size")
        allowed = bucket.allowed_mime_types
        if allowed and not any(fnmatchcase(kind.partition(";")[0], pattern) for pattern in allowed):
            raise StorageError(415, "invalid_mime_type", f"mime type {kind} is not supported")
        name = hashlib.sha256(data).hexdigest()
        durable.write(self.folder / name, data, sync=False)
        moment = now()
        stored = Stored(
            before.id if before else str(uuid.uuid4()), path, name, len(data), kind, cache, owner,
            before.created if before else moment, moment, dict(metadata or {}),
        )  # fmt: skip
        bucket.objects[path] = stored
        self.save()
        return stored

    def bytes(self, stored: Stored) -> bytes:
        return (self.folder / stored.file).read_bytes()

    def save(self) -> None:
        whole = {"settings": self._mark(), "buckets": [asdict(bucket) for bucket in self.known.values()]}
        durable.write(self.folder / "index.json", json.dumps(whole, ensure_ascii=False).encode(), sync=False)

    def _load(self) -> bool:
        """Whether the folder holds what these settings began with."""
        try:
            saved = json.loads((self.folder / "index.json").read_text())
            if saved["settings"] != self._mark():
                return False
            for each in saved["buckets"]:
                objects = {path: Stored(**about) for path, about in each.pop("objects").items()}
                self.known[each["id"]] = Bucket(**each, objects=objects)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            self.known = {}
            return False
        return True

    def _mark(self) -> Any:
        return json.loads(json.dumps(self._settings))


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """SettingError when `rehearsal.storage` has a mistake."""
    buckets = Buckets(sandbox.settings.get("storage") or {}, Path(sandbox.folder) / "storage")
    sandbox.resetting.append(buckets.reset)
    storage = Storage(sandbox, buckets)
    return [Route("/storage/v1/{path:path}", storage.answer, methods=_METHODS)]


class Storage:
    """The HTTP side: one method for each call of storage-js, found by method and path."""

    def __init__(self, sandbox: Sandbox, buckets: Buckets) -> None:
        self.sandbox = sandbox
        self.buckets = buckets

    async def answer(self, request: Request) -> Response:
        try:
            return await self._answer(request)
        except StorageError as error:
            return JSONResponse(error.body, 400)

    async def _answer(self, request: Request) -> Response:
        first, *rest = unquote(request.path_params["path"]).split("/")
        if first == "bucket":
            self._authorized(request)
            return await self._of_bucket(request, *rest)
        if first == "render" and rest[:1] == ["image"]:
            first, rest = "object", rest[1:]
        if first != "object" or not rest:
            raise self._missing(request)
        kind, place = rest[0], rest[1:]
        named = {
            "list": self._list,
            "list-v2": self._list_all,
            "move": self._move,
            "copy": self._copy,
            "sign": self._sign,
        }
        if kind == "public" or (kind == "sign" and request.method in ("GET", "HEAD")):
            return self._open(request, kind, place)
        if kind == "upload" and place[:1] == ["sign"] and request.method == "PUT":
            return await self._upload(request, place[1:])
        self._authorized(request)
        if kind == "upload" and place[:1] == ["sign"]:
            return await self._sign_upload(request, place[1:])
        if kind in named and request.method == "POST":
            return await named[kind](request, place)
        if kind == "info":
            return self._info(place[1:] if place[:1] in (["authenticated"], ["public"]) else place)
        return await self._object(request, place if kind == "authenticated" else rest)

    # buckets

    async def _of_bucket(self, request: Request, name: str = "", action: str = "") -> Response:
        if not name:
            if request.method == "POST":
                return await self._create(request)
            return JSONResponse([bucket.shown() for bucket in self.buckets.known.values()])
        bucket = self.buckets.bucket(name)
        if action == "empty":
            bucket.objects.clear()
            self.buckets.save()
            return JSONResponse({"message": "Successfully emptied"})
        if request.method == "DELETE":
            if bucket.objects:
                raise StorageError(409, "InvalidRequest", "The bucket you tried to delete is not empty")
            del self.buckets.known[name]
            self.buckets.save()
            return JSONResponse({"message": "Successfully deleted"})
        if request.method == "PUT":
            _change(bucket, await _json(request))
            self.buckets.save()
            return JSONResponse({"message": "Successfully updated"})
        return JSONResponse(bucket.shown())

    async def _create(self, request: Request) -> Response:
        given = await _json(request)
        name = str(given.get("id") or given.get("name") or "")
        if not name:
            raise StorageError(400, "Error", "body must have required property 'name'")
        if name in self.buckets.known:
            raise StorageError(409, "Duplicate", "The resource already exists")
        bucket = self.buckets.known[name] = Bucket(name, created=now())
        _change(bucket, given)
        self.buckets.save()
        return JSONResponse({"name": name})

    # objects

    async def _object(self, request: Request, place: list[str]) -> Response:
        bucket = self.buckets.bucket(place[0])
        path = "/".join(place[1:])
        if request.method in ("GET", "HEAD"):
            return self._download(request, bucket.object(path))
        if request.method == "DELETE":
            return await self._remove(request, bucket, path)
        return await self._upload(request, place)

    async def _upload(self, request: Request, place: list[str]) -> Response:
        bucket, path = self.buckets.bucket(place[0]), "/".join(place[1:])
        token = request.query_params.get("token")
        if "sign" in request.url.path.split("/")[4:6]:
            self._verify(token, f"{place[0]}/{path}")
        elif request.method == "PUT":
            bucket.object(path)  # an update is of what is there
        if not path or path.startswith("/") or ".." in path.split("/"):
            raise StorageError(400, "InvalidKey", f"Invalid key: {path}")
        data, kind, fields = _body(request.headers.get("content-type", ""), await request.body())
        upsert = request.headers.get("x-upsert") == "true" or request.method == "PUT"
        cache = fields.get("cacheControl") or request.headers.get("cache-control", "3600")
        stored = self.buckets.put(
            bucket, path, data, kind, cache=cache if "max-age" in cache else f"max-age={cache}", upsert=upsert,
            owner=claims(self.sandbox.identity, request).get("sub"), metadata=_loaded(fields.get("metadata")),
        )  # fmt: skip
        return JSONResponse({"Key": f"{bucket.id}/{path}", "Id": stored.id})

    async def _remove(self, request: Request, bucket: Bucket, path: str) -> Response:
        prefixes = [path] if path else (await _json(request)).get("prefixes") or []
        removed = [bucket.objects.pop(each) for each in prefixes if each in bucket.objects]
        self.buckets.save()
        if path:
            return JSONResponse({"message": "Successfully deleted"})
        return JSONResponse([{**each.shown(each.path), "bucket_id": bucket.id} for each in removed])

    def _download(self, request: Request, stored: Stored) -> Response:
        headers = {"cache-control": stored.cache, "etag": f'"{stored.file[:32]}"', "content-type": stored.kind}
        wanted = request.query_params.get("download")
        if wanted is not None:
            headers["content-disposition"] = f'attachment; filename="{wanted or stored.path.rsplit("/", 1)[-1]}"'
        data = b"" if request.method == "HEAD" else self.buckets.bytes(stored)
        return Response(data, 200, headers)

    def _open(self, request: Request, kind: str, place: list[str]) -> Response:
        """A public bucket's object, or one by a signed address."""
        bucket, path = self.buckets.bucket(place[0]), "/".join(place[1:])
        if kind == "public" and not bucket.public:
            raise StorageError(404, "Bucket not found", f"Bucket not found. {bucket.id} is not public")
        if kind == "sign":
            self._verify(request.query_params.get("token"), f"{bucket.id}/{path}")
        return self._download(request, bucket.object(path))

    def _info(self, place: list[str]) -> Response:
        stored = self.buckets.bucket(place[0]).object("/".join(place[1:]))
        about = {
            "id": stored.id, "name": stored.path, "version": stored.file[:32], "bucket_id": place[0],
            "size": stored.size,
            "content_type": stored.kind, "cache_control": stored.cache, "etag": f'"{stored.file[:32]}"',
            "metadata": stored.metadata, "last_modified": stored.updated, "created_at": stored.created,
        }  # fmt: skip
        return JSONResponse(about)

    async def _list(self, request: Request, place: list[str]) -> Response:
        """What lies directly in a folder; a folder is a name without an id."""
        given = await _json(request)
        folder = str(given.get("prefix") or "").strip("/")
        inside = f"{folder}/" if folder else ""
        entries: dict[str, dict[str, Any]] = {}
        for path, stored in self.buckets.bucket(place[0]).objects.items():
            name, deeper, _ = path.removeprefix(inside).partition("/")
            if path.startswith(inside) and str(given.get("search") or "").lower() in name.lower():
                moments = dict.fromkeys(("id", "updated_at", "created_at", "last_accessed_at", "metadata"))
                entries[name] = {"name": name, **moments} if deeper else stored.shown(name)
        order = given.get("sortBy") or {}
        column = str(order.get("column") or "name")
        ordered = sorted(entries.values(), key=lambda one: str(one.get(column)), reverse=order.get("order") == "desc")
        first = int(given.get("offset") or 0)
        return JSONResponse(ordered[first:][: int(given.get("limit") or _SHOWN)])

    async def _list_all(self, request: Request, place: list[str]) -> Response:
        """A page of paths, in their order; with `with_delimiter` what lies deeper is shown as a folder."""
        given = await _json(request)
        prefix, after = str(given.get("prefix") or ""), str(given.get("cursor") or "")
        folders, objects = {}, []
        for path, stored in sorted(self.buckets.bucket(place[0]).objects.items()):
            if not path.startswith(prefix) or path <= after:
                continue
            head, deeper, _ = path.removeprefix(prefix).partition("/")
            if given.get("with_delimiter") and deeper:
                key = f"{prefix}{head}/"
                folders[key] = {"key": key, "name": key}
            else:
                objects.append({"key": path, **stored.shown(path)})
        most = int(given.get("limit") or 1000)
        more = {"nextCursor": objects[most - 1]["name"]} if len(objects) > most else {}
        page = {"folders": list(folders.values()), "objects": objects[:most]}
        return JSONResponse({"hasNext": bool(more), **more, **page})

    async def _move(self, request: Request, _: list[str]) -> Response:
        return await self._copied(request, move=True)

    async def _copy(self, request: Request, _: list[str]) -> Response:
        return await self._copied(request, move=False)

    async def _copied(self, request: Request, *, move: bool) -> Response:
        given = await _json(request)
        source = self.buckets.bucket(str(given.get("bucketId")))
        original = source.object(str(given.get("sourceKey")))
        target = self.buckets.bucket(str(given.get("destinationBucket") or source.id))
        path = str(given.get("destinationKey"))
        copy = self.buckets.put(target, path, self.buckets.bytes(original), original.kind, upsert=False)
        if not move:
            return JSONResponse({"Key": f"{target.id}/{path}", "Id": copy.id})
        del source.objects[original.path]
        self.buckets.save()
        return JSONResponse({"message": "Successfully moved", "Id": copy.id, "Key": f"{target.id}/{path}"})

    # signed addresses

    async def _sign(self, request: Request, place: list[str]) -> Response:
        given = await _json(request)
        seconds, bucket = int(given.get("expiresIn") or 60), self.buckets.bucket(place[0])
        if len(place) > 1:
            path = "/".join(place[1:])
            bucket.object(path)
            return JSONResponse({"signedURL": self._signed(f"{bucket.id}/{path}", seconds)})
        rows = []
        for path in given.get("paths") or []:
            known = path in bucket.objects
            error = None if known else "Either the object does not exist or you do not have access to it"
            signed = self._signed(f"{bucket.id}/{path}", seconds) if known else None
            rows.append({"error": error, "path": path, "signedURL": signed})
        return JSONResponse(rows)

    async def _sign_upload(self, request: Request, place: list[str]) -> Response:
        bucket, path = self.buckets.bucket(place[0]), "/".join(place[1:])
        if path in bucket.objects and request.headers.get("x-upsert") != "true":
            raise StorageError(409, "Duplicate", "The resource already exists")
        token = self._token(f"{bucket.id}/{path}", 7200)
        return JSONResponse({"url": f"/object/upload/sign/{bucket.id}/{path}?token={token}", "token": token})

    def _signed(self, path: str, seconds: int) -> str:
        return f"/object/sign/{path}?token={self._token(path, seconds)}"

    def _token(self, path: str, seconds: int) -> str:
        own = {"url": path, "iat": int(time.time()), "exp": int(time.time()) + seconds}
        return jwt.encode(own, self.sandbox.identity.jwt_secret, algorithm="HS256")

    def _verify(self, token: str | None, path: str) -> None:
        try:
            signed = jwt.decode(token or "", self.sandbox.identity.jwt_secret, algorithms=["HS256"])
        except jwt.PyJWTError as error:
            raise StorageError(400, "InvalidJWT", str(error)) from None
        if signed.get("url") != path:
            raise StorageError(400, "InvalidSignature", "Invalid signature")

    def _authorized(self, request: Request) -> None:
        """Any key or user of the project: no policy applies here."""
        own = self.sandbox.identity
        held = request.headers.get("apikey"), request.headers.get("authorization", "").removeprefix("Bearer ")
        known = (own.anon_key, own.service_role_key, own.publishable_key, own.secret_key)
        if not any(held):
            raise StorageError(400, "Error", _AUTHORIZED)
        if not (serves(own, request) or any(each in known for each in held) or claims(own, request)):
            raise StorageError(403, "Unauthorized", "Invalid Compact JWS")

    def _missing(self, request: Request) -> StorageError:
        text = f"The sandbox's Storage has no {request.method} {request.url.path}. {LOCAL}"
        return StorageError(501, "NotImplemented", text)


def _body(kind: str, body: bytes) -> tuple[bytes, str, dict[str, str]]:
    """The object's bytes, its media type, and the form's other fields; a form's file is the part without a name."""
    if not kind.lower().startswith("multipart/form-data"):
        return body, kind or "application/octet-stream", {}
    data, type_, fields = b"", "application/octet-stream", dict[str, str]()
    try:
        parts = split(kind, body)
    except ValueError as error:
        raise StorageError(400, "InvalidRequest", f"the form cannot be read: {error}") from None
    for head, content in parts:
        disposition = head.get("content-disposition", "")
        if "filename" in disposition:
            data, type_ = content, head.get("content-type", type_)
        elif name := _NAME.search(disposition):
            fields[name[1]] = content.decode("utf-8", "replace")
    return data, type_, fields


def _loaded(text: str | None) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


async def _json(request: Request) -> dict[str, Any]:
    return _loaded((await request.body()).decode("utf-8", "replace"))


def _change(bucket: Bucket, given: Mapping[str, Any]) -> None:
    bucket.public = bool(given.get("public", bucket.public))
    if "file_size_limit" in given:
        bucket.file_size_limit = _bytes(given["file_size_limit"])
    if "allowed_mime_types" in given:
        bucket.allowed_mime_types = given["allowed_mime_types"]


def _bytes(value: Any) -> int | None:
    """`20MB` is 20,000,000 or a number of bytes, as Storage reads it."""
    match = re.fullmatch(r"(\d+)\s*([kmg]?)b?", str(value).lower()) if value is not None else None
    return int(match[1]) * 1000 ** " kmg".index(match[2] or " ") if match else None


def _content(bucket: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingError(("storage", bucket), f"cannot read {path}: {error.strerror}") from None


_SHAPES: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "public": ("true or false", lambda value: isinstance(value, bool)),
    "files": ("a mapping of paths to files", lambda value: isinstance(value, Mapping)),
    "file_size_limit": ("a number of bytes, or as 20MB", lambda value: _bytes(value) is not None),
    "allowed_mime_types": ("a list of types, as image/*", lambda value: isinstance(value, list)),
}


def _checked(settings: Any) -> Mapping[str, Any]:
    if not isinstance(settings, Mapping):
        raise SettingError(("storage",), "should be a mapping of buckets")
    for name, about in settings.items():
        if not isinstance(about or {}, Mapping) or set(about or {}) - _KEYS:
            raise SettingError(("storage", name), f"should be a mapping of {', '.join(sorted(_KEYS))}")
        for key, value in (about or {}).items():
            words, fits = _SHAPES[key]
            if value is not None and not fits(value):
                raise SettingError(("storage", name, key), f"should be {words}")
    return settings
