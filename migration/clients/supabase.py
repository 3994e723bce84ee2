"""The Management API: one method a call, typed answers, failures in our words and the platform's own.

https://api.supabase.com/api/v1
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from migration.base.command import AGAIN, Do, Step
from migration.base.errors import ApiError, Unknown
from migration.base.retry import Retry
from migration.base.secrets_type import Secret, mask
from migration.clients import reading
from migration.clients.http import Answer, Http, retry_after
from migration.clients.multipart import parts
from migration.clients.supabase_types import Body, Function, SecretDigest, Upload

T = TypeVar("T")
_REMEDIES = {
    401: Do("check access_token of this environment in config.yaml, and its variable in .env"),
    402: Do("the organization's plan or spend cap does not allow it: see the billing page of the dashboard"),
    403: Do("give the access token the missing permission"),
    404: Do("check project_ref in config.yaml, and that the token's account can see that project"),
    413: Do("make the function smaller (the platform accepts 20 MB)"),
    429: Do("wait a minute"),
}
_REFUSED = Do("fix what the platform names")
_FAILED = Do("see https://status.supabase.com")
_ACTIVATE_DEADLINE = 25.0


class Supabase:
    """One project of the Management API. Reads are retried here; changes never are: their callers read back first."""

    def __init__(self, http: Http, ref: str, retry: Retry | None = None) -> None:
        self._http = http
        self._retry = retry or Retry()
        self.ref = ref
        self._base = f"/v1/projects/{ref}"

    @contextlib.contextmanager
    def patient(self, seconds: float) -> Iterator[None]:
        """Reads obey `Retry-After` for so many seconds in all: for the time of a change that must not be left half
        done because the platform is busy."""
        usual, self._retry = self._retry, replace(self._retry, later=seconds)
        try:
            yield
        finally:
            self._retry = usual

    # reads

    def functions(self) -> list[Function]:
        return self._read("listing the functions", "/functions", _functions)

    def function(self, slug: str) -> Function | None:
        """None when the platform has no function with that slug."""
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
        return self._read("listing the secrets", "/secrets", _secrets)

    def migrations(self) -> set[str]:
        """The versions of the SQL files that the database has applied (beta: "List applied migration versions")."""
        return self._read("listing the applied migrations", "/database/migrations", _versions)

    def logs(self, sql: str, start: datetime, end: datetime) -> LogRows:
        """Rows of one query, at most 24 hours and 1,000 rows. An error inside HTTP 200 is raised as status 500.

        Not retried here: the log route has a tight rate limit, which its reader keeps.
        """
        params = {"sql": sql, "iso_timestamp_start": _iso(start), "iso_timestamp_end": _iso(end)}
        operation = "reading the logs"
        answer = self._call(operation, "GET", "/analytics/endpoints/logs", params=params, deadline=60.0)
        return _parsed(operation, answer, _rows)

    # changes

    def stage(self, upload: Upload, deadline: float = 60.0) -> Function:
        """Upload and bundle without going live."""
        return self._deploy(f"staging {upload.slug}", upload, {"slug": upload.slug, "bundleOnly": "true"}, deadline)

    def deploy(self, upload: Upload, deadline: float = 60.0) -> Function:
        """Upload, bundle and go live at once, for exactly one function."""
        return self._deploy(f"deploying {upload.slug}", upload, {"slug": upload.slug}, deadline)

    def upload_limit(self) -> None:
        """Makes the platform say, in the headers of its answer, what is left of the rate limit on uploads. The request
        names neither a function nor files: it is refused, and changes nothing."""
        with contextlib.suppress(ApiError):
            self._call("asking for the rate limit", "POST", "/functions/deploy", params={"bundleOnly": "true"})

    def activate(self, functions: Sequence[Mapping[str, Any]]) -> None:
        """One PUT makes all of them live. Repeating the same one changes nothing more."""
        self._call("activating", "PUT", "/functions", (200,), json=list(functions), deadline=_ACTIVATE_DEADLINE)

    def delete(self, slug: str) -> None:
        self._call(f"deleting {slug}", "DELETE", f"/functions/{slug}", (200, 204))

    def set_secrets(self, values: Mapping[str, Secret]) -> None:
        body = [{"name": name, "value": value.reveal()} for name, value in values.items()]
        self._call("setting secrets", "POST", "/secrets", json=body)

    def _deploy(self, operation: str, upload: Upload, params: Mapping[str, str], deadline: float) -> Function:
        metadata = json.dumps(upload.metadata, ensure_ascii=False, separators=(",", ":")).encode()
        files = [("file", (path, data, "application/octet-stream")) for path, data in upload.files]
        body = [*files, ("metadata", (None, metadata, None))]
        request = {"params": params, "files": body, "deadline": deadline}
        answer = self._call(operation, "POST", "/functions/deploy", (201,), **request)
        return _parsed(operation, answer, _function)

    def _read(self, operation: str, path: str, parse: Callable[[Answer], T], **request: Any) -> T:
        return self._retry(lambda: _parsed(operation, self._call(operation, "GET", path, **request), parse))

    def _call(self, operation: str, method: str, path: str, good: Sequence[int] = (), **request: Any) -> Answer:
        answer = self._http.request(method, self._base + path, **request)
        if answer.status in good or (not good and answer.ok):
            return answer
        if answer.ok:  # a proxy may have given it
            text = f"{operation}: unexpected status {answer.status} from the Management API"
            raise Unknown(text, _FAILED, AGAIN)
        raise _error(operation, answer)


class LogRows(list[dict[str, Any]]):
    """The rows of a log query; `bytes_read` is what the engine read for it, None where the answer does not say so."""

    bytes_read: int | None = None


class LogRow(dict[str, Any]):
    """A row of a log query. A column that is missing was left out by the platform, which is its failure, not ours."""

    def __missing__(self, column: str) -> Any:
        raise Unknown(f"The platform sent a log row without the column {column}.", _FAILED, AGAIN)


def _error(operation: str, answer: Answer) -> ApiError:
    message = _message(answer)
    text = f"{operation}: the Management API answered {answer.status}" + (f": {message}" if message else "")
    remedy: Step = _REMEDIES.get(answer.status, _REFUSED if answer.status < 500 else _FAILED)
    return ApiError(
        text, remedy, AGAIN,
        status=answer.status, body=answer.text, operation=operation, retry_after=retry_after(answer),
    )  # fmt: skip


def _message(answer: Answer) -> str:
    """The platform's own words; the beginning of the body where it has another form."""
    try:
        content = reading.decoded(answer)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        return mask(" ".join(answer.text[:5000].split()))[:200]
    message = str(content.get("message") or content.get("error") or mask(answer.text[:5000])[:200])
    missing = content.get("missing_permissions")
    return f"{message} (missing: {', '.join(map(str, missing))})" if isinstance(missing, list) and missing else message


def _parsed(operation: str, answer: Answer, parse: Callable[[Answer], T]) -> T:
    try:
        return parse(answer)
    except ValueError as error:
        text = f"{operation}: unexpected response {answer.status} from the Management API: {error}"
        raise Unknown(text, _FAILED, AGAIN) from None


def _functions(answer: Answer) -> list[Function]:
    data = reading.decoded(answer)
    if not isinstance(data, list):
        raise ValueError(f"expected a list, got {reading.short(answer)}")
    return [Function.of(each) for each in data]


def _function(answer: Answer) -> Function:
    return Function.of(reading.decoded(answer))


def _secrets(answer: Answer) -> list[SecretDigest]:
    return reading.rows(SecretDigest, reading.decoded(answer))


def _versions(answer: Answer) -> set[str]:
    data = reading.decoded(answer)
    if not isinstance(data, list) or not all(isinstance(each, dict) and "version" in each for each in data):
        raise ValueError(f"expected a list of versions, got {reading.short(answer)}")
    return {str(each["version"]) for each in data}


def _rows(answer: Answer) -> LogRows:
    """Rows of a log query; an error inside HTTP 200 is raised as status 500."""
    data = reading.decoded(answer)
    if not isinstance(data, dict):
        raise ValueError(f"expected an object, got {reading.short(answer)}")
    if data.get("error") is not None:
        message = data["error"] if isinstance(data["error"], str) else json.dumps(data["error"])
        operation = "reading the logs"
        text = f"{operation}: {message}"
        raise ApiError(text, _FAILED, AGAIN, status=500, body=message, operation=operation)
    rows = data.get("result") or []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"expected a list of rows, got {reading.short(answer)}")
    log_rows = LogRows(LogRow(row) for row in rows)
    statistics = data.get("statistics")
    read = statistics.get("bytes_read") if isinstance(statistics, dict) else None
    log_rows.bytes_read = int(read) if isinstance(read, int | float) else None
    return log_rows


def _body(answer: Answer) -> Body:
    return Body(*parts(answer.headers.get("content-type", ""), answer.body))


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
