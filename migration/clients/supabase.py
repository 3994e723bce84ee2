"""The Management API: one method a call, frozen answers, failures in our words plus the server's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

from migration.base.errors import ApiError, Unknown
from migration.base.secrets_type import Secret

from .again import retrying
from .http import Answer, Http, retry_after
from .multipart import parts
from .supabase_types import Body, Function, SecretDigest, Upload

T = TypeVar("T")
_AGAIN = "then run the command again"
_HINTS = {
    401: f"check SUPABASE_ACCESS_TOKEN, {_AGAIN}",
    402: f"the organization's plan or spend cap does not allow it: see the dashboard's billing page, {_AGAIN}",
    403: f"give the access token the permission that this call needs, {_AGAIN}",
    404: f"check project_ref in config.yaml and whether the token's account can see that project, {_AGAIN}",
    413: f"make the function smaller (the platform takes 20 MB), {_AGAIN}",
    429: f"wait a minute, {_AGAIN}",
}
_REFUSED = f"the platform refused it: mend what it names, {_AGAIN}"
_FAILED = f"the platform failed: look at its status page, {_AGAIN}"
_ACTIVATE_DEADLINE = 25.0


class Again(Protocol):
    """How a read is repeated; `clients.again.retrying` is one."""

    def __call__(self, call: Callable[[], T], /) -> T: ...


class Supabase:
    """One project of the Management API. Reads are retried here, by `again`; changes never are."""

    def __init__(self, http: Http, ref: str, again: Again = retrying) -> None:
        self._http = http
        self._again = again
        self.ref = ref
        self._base = f"/v1/projects/{ref}"

    # reads

    def project(self) -> Mapping[str, Any]:
        return self._read("reading the project", "", _object)

    def functions(self) -> list[Function]:
        return self._read("listing the functions", "/functions", lambda it: [Function.of(row) for row in _array(it)])

    def function(self, slug: str) -> Function | None:
        """None when the platform has no function of that slug."""
        try:
            return self._read(f"reading function {slug}", f"/functions/{slug}", _function)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def body(self, slug: str) -> Body:
        request = {"headers": {"Accept": "multipart/form-data"}, "deadline": 60.0}
        return self._read(f"downloading function {slug}", f"/functions/{slug}/body", _body, **request)

    def secrets(self) -> list[SecretDigest]:
        rows = self._read("listing the secrets", "/secrets", _array)
        return [SecretDigest(str(row["name"]), str(row["value"]), row.get("updated_at")) for row in rows]

    def logs(self, sql: str, start: datetime, end: datetime) -> list[dict[str, Any]]:
        """Rows of one query, 24 hours and 1,000 rows at most; an error inside HTTP 200 is raised as status 500.

        Not retried here: the log route has a tight rate limit, and its reader keeps the budget.
        """
        params = {"sql": sql, "iso_timestamp_start": _iso(start), "iso_timestamp_end": _iso(end)}
        operation = "reading the logs"
        answer = self._call(operation, "GET", "/analytics/endpoints/logs", params=params, deadline=60.0)
        found = _parsed(operation, answer, _object)
        if found.get("error") is not None:
            said = found["error"] if isinstance(found["error"], str) else json.dumps(found["error"])
            raise ApiError(f"{operation}: {said}", _FAILED, status=500, body=said, operation=operation)
        return list(found.get("result") or [])

    # changes

    def stage(self, upload: Upload, deadline: float = 60.0) -> Function:
        """Upload and bundle without going live."""
        return self._deploy(f"staging {upload.slug}", upload, {"slug": upload.slug, "bundleOnly": "true"}, deadline)

    def deploy(self, upload: Upload, deadline: float = 60.0) -> Function:
        """Upload, bundle and go live at once: for exactly one function."""
        return self._deploy(f"deploying {upload.slug}", upload, {"slug": upload.slug}, deadline)

    def activate(self, functions: Sequence[Mapping[str, Any]]) -> None:
        """One PUT makes all of them live; repeating the same one is harmless."""
        self._call("activating", "PUT", "/functions", (200,), json=list(functions), deadline=_ACTIVATE_DEADLINE)

    def delete(self, slug: str) -> None:
        self._call(f"deleting {slug}", "DELETE", f"/functions/{slug}", (200, 204))

    def set_secrets(self, values: Mapping[str, Secret]) -> None:
        body = [{"name": name, "value": value.reveal()} for name, value in values.items()]
        self._call("setting secrets", "POST", "/secrets", json=body)

    def unset_secrets(self, names: Sequence[str]) -> None:
        self._call("removing secrets", "DELETE", "/secrets", json=list(names))

    def _deploy(self, operation: str, upload: Upload, params: Mapping[str, str], deadline: float) -> Function:
        metadata = json.dumps(upload.metadata, ensure_ascii=False, separators=(",", ":")).encode()
        files = [("file", (path, data, "application/octet-stream")) for path, data in upload.files]
        body = [*files, ("metadata", (None, metadata, None))]
        request = {"params": params, "files": body, "deadline": deadline}
        answer = self._call(operation, "POST", "/functions/deploy", (201,), **request)
        return _parsed(operation, answer, _function)

    def _read(self, operation: str, path: str, parse: Callable[[Answer], T], **request: Any) -> T:
        return self._again(lambda: _parsed(operation, self._call(operation, "GET", path, **request), parse))

    def _call(self, operation: str, method: str, path: str, good: Sequence[int] = (), **request: Any) -> Answer:
        answer = self._http.request(method, self._base + path, **request)
        if answer.status in good or (not good and answer.ok):
            return answer
        if answer.ok:  # somebody on the way may have given it
            raise Unknown(f"{operation}: the Management API answered {answer.status}, which says nothing", _FAILED)
        raise _error(operation, answer)


def _error(operation: str, answer: Answer) -> ApiError:
    said = _message(answer)
    wait = retry_after(answer)
    hint = _HINTS.get(answer.status, _REFUSED if answer.status < 500 else _FAILED)
    text = f"{operation}: the Management API answered {answer.status}" + (f": {said}" if said else "")
    return ApiError(text, hint, status=answer.status, body=answer.text, operation=operation, retry_after=wait)


def _message(answer: Answer) -> str:
    try:
        found = answer.json()
    except ValueError:
        return " ".join(answer.text.split())[:200]
    if not isinstance(found, dict):
        return answer.text[:200]
    said = str(found.get("message") or found.get("error") or answer.text[:200])
    missing = found.get("missing_permissions")
    return f"{said} (missing: {', '.join(map(str, missing))})" if isinstance(missing, list) and missing else said


def _parsed(operation: str, answer: Answer, parse: Callable[[Answer], T]) -> T:
    try:
        return parse(answer)
    except (ValueError, AttributeError) as error:
        said = f"an answer {answer.status} that cannot be read ({error})"
        raise Unknown(f"{operation}: the Management API gave {said}", _FAILED) from None


def _array(answer: Answer) -> list[Any]:
    found = _json(answer)
    if not isinstance(found, list):
        raise ValueError(f"not the array that we expect: {answer.text[:120]!r}")
    return found


def _object(answer: Answer) -> dict[str, Any]:
    found = _json(answer)
    if not isinstance(found, dict):
        raise ValueError(f"not the object that we expect: {answer.text[:120]!r}")
    return found


def _json(answer: Answer) -> Any:
    try:
        return answer.json()
    except ValueError:
        raise ValueError(f"not JSON: {' '.join(answer.text.split())[:120]!r}") from None


def _function(answer: Answer) -> Function:
    return Function.of(_object(answer))


def _body(answer: Answer) -> Body:
    return Body(*parts(answer.headers.get("content-type", ""), answer.body))


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
