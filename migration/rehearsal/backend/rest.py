"""`/rest/v1`: PostgREST over the sandbox's tables. No database runs here, and no policy of one applies."""

from __future__ import annotations

import copy
import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from migration.rehearsal.backend.access import keyless
from migration.rehearsal.backend.grammar import LOCAL, Query, RestError, parse
from migration.rehearsal.backend.tables import Table, Tables
from migration.rehearsal.identity import Identity
from migration.rehearsal.mistake import SettingError, unknown
from migration.rehearsal.types import Sandbox

_ONE = "application/vnd.pgrst.object"
_KINDS: dict[str, type] = {"tables": dict, "relations": dict, "rpc": dict, "status": int, "body": object}
_SHOWN: dict[type, str] = {dict: "a mapping", int: "a whole number"}
# A column, relation, function or table that is not there; all else is what a request does wrong.
_LACKING = frozenset({"42703", "PGRST200", "PGRST202", "PGRST204", "PGRST205"})
METHODS = ["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE"]


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """SettingError when the section has a mistake."""
    settings = checked(sandbox.settings.get("database") or {})
    tables = Tables(settings, Path(sandbox.folder) / "database.json")
    sandbox.resetting.append(tables.reset)
    rest = Rest(settings, tables, sandbox.identity)
    return [
        Route("/rest/v1/rpc/{name}", rest.call, methods=METHODS),
        Route("/rest/v1/{table}", rest.answer, methods=METHODS),
        Route("/rest/v1/", rest.root, methods=["GET"]),
    ]


@dataclass(frozen=True)
class Wish:
    """What the header `Prefer` asks for, and how the rows are to be written."""

    prefer: Mapping[str, str]
    accept: str

    @classmethod
    def of(cls, request: Request) -> Wish:
        words = (word.strip().partition("=") for word in ",".join(request.headers.getlist("prefer")).split(","))
        return cls({name: value for name, _, value in words}, request.headers.get("accept", ""))

    @property
    def rows(self) -> bool:
        """Whether a change answers with the rows."""
        return self.prefer.get("return") == "representation"

    def allows(self, changed: int) -> None:
        """RestError where a change is for more rows than it may be for: `maxAffected` of supabase-js."""
        most = self.prefer.get("max-affected", "")
        if self.prefer.get("handling") == "strict" and most.isdigit() and changed > int(most):
            text = "Query result exceeds max-affected preference constraint"
            raise RestError(400, "PGRST124", text, f"The query affects {changed} rows")


class Rest:
    """The tables over HTTP. `status` in the settings makes every call fail so."""

    def __init__(self, settings: Mapping[str, Any], tables: Tables, identity: Identity) -> None:
        self.settings = settings
        self.tables = tables
        self.identity = identity

    async def root(self, _: Request) -> Response:
        return JSONResponse({"swagger": "2.0", "paths": {f"/{name}": {} for name in self.tables.tables}})

    async def answer(self, request: Request) -> Response:
        if refusal := keyless(self.identity, request) or self._failing():
            return refusal
        try:
            return self._answer(request, await request.body())
        except RestError as error:
            _shown(request, error)
            return JSONResponse(error.body, error.status)

    async def call(self, request: Request) -> Response:
        """A function's answer as the settings give it; of a list, what the filters let through."""
        if refusal := keyless(self.identity, request) or self._failing():
            return refusal
        name, known = request.path_params["name"], self.settings.get("rpc") or {}
        if name not in known:
            text = f"Could not find the function public.{name} in the schema cache"
            hint = f"The sandbox has no such function: add rehearsal.database.rpc.{name} to config.yaml. {LOCAL}"
            missing = RestError(404, "PGRST202", text, hint=hint)
            _shown(request, missing)
            return JSONResponse(missing.body, missing.status)
        if not _listed(known[name]):
            return JSONResponse(known[name])
        try:
            return self._called(request, name, known[name])
        except RestError as error:
            return JSONResponse(error.body, error.status)

    def _called(self, request: Request, name: str, rows: Any) -> Response:
        inside = Tables({"tables": {name: rows}, "relations": {}}, self.tables.path.with_name("rpc.json"))
        skipped = _arguments(request, inside.table(name)) if request.method != "POST" else ()
        query = parse((key, value) for key, value in request.query_params.multi_items() if key not in skipped)
        return self._page(request, *inside.read(name, query), query)

    def _failing(self) -> Response | None:
        if "status" not in self.settings:
            return None
        return JSONResponse(self.settings.get("body", {"message": "no database here"}), int(self.settings["status"]))

    def _answer(self, request: Request, body: bytes) -> Response:
        profile = request.headers.get("content-profile") or request.headers.get("accept-profile") or "public"
        name = request.path_params["table"] if profile == "public" else f"{profile}.{request.path_params['table']}"
        query = _ranged(request, parse(request.query_params.multi_items()))
        if request.method in ("GET", "HEAD"):
            return self._page(request, *self.tables.read(name, query), query)
        table = self.tables.table(name)
        before = copy.deepcopy(table.rows)
        try:
            answer = self._changed(request, table, query, body)
        except RestError:  # one transaction
            table.rows = before
            raise
        self.tables.save()
        return answer

    def _changed(self, request: Request, table: Table, query: Query, body: bytes) -> Response:
        wish, status = Wish.of(request), 200
        if request.method in ("POST", "PUT"):
            rows, created = self._write(table, _given(body), request)
            status = 201 if created or request.method == "POST" else 200
        else:
            rows = self._meant(table, query, request.method)
            wish.allows(len(rows))
        if request.method == "PATCH":
            _fits(table, _given(body))
            for row in rows:
                row.update(_one(_given(body)))
        shown = self.tables.shown(table.name, rows, query) if wish.rows else []
        if request.method == "DELETE":
            dropped = {id(row) for row in rows}
            table.rows = [row for row in table.rows if id(row) not in dropped]
        if wish.rows:
            return _written(wish, shown, len(rows), status)
        counted = {"content-range": f"*/{len(rows)}"} if "count" in wish.prefer else {}
        return Response(status_code=201 if status == 201 else 204, headers=counted)

    def _meant(self, table: Table, query: Query, method: str) -> list[dict[str, Any]]:
        """The rows that an update or a delete is for."""
        if not query.terms:
            verb = "UPDATE" if method == "PATCH" else "DELETE"
            raise RestError(400, "21000", f"{verb} requires a WHERE clause")
        return self.tables.matching(table.name, replace(query, select=Query().select, limit=None, offset=0))

    def _write(self, table: Table, given: list[dict[str, Any]], request: Request) -> tuple[list[dict[str, Any]], bool]:
        """The rows after an insert or upsert, and whether any is new. RestError where a row is there already."""
        resolution = Wish.of(request).prefer.get("resolution", "")
        merges = request.method == "PUT" or resolution in ("merge-duplicates", "ignore-duplicates")
        columns = (request.query_params.get("on_conflict") or "").split(",") if merges else []
        key = [name.strip('"') for name in columns if name] or list(table.key)
        if not merges:
            self._unique(table, given, key)
        _fits(table, given)
        rows, created = [], False
        for each in given:
            same = table.same(each, key) if merges else None
            if same is None:
                rows.append(table.add(each))
                created = True
            elif resolution != "ignore-duplicates":
                same.update(each)
                rows.append(same)
        return rows, created

    def _unique(self, table: Table, given: Sequence[Mapping[str, Any]], key: Sequence[str]) -> None:
        seen = []
        for each in given:
            values = [each.get(name) for name in key]
            if table.same(each, key) or (values in seen and None not in values):
                shown = f"Key ({', '.join(key)})=({', '.join(map(str, values))}) already exists."
                text = f'duplicate key value violates unique constraint "{table.name}_pkey"'
                raise RestError(409, "23505", text, shown)
            seen.append(values)

    def _page(self, request: Request, rows: list[dict[str, Any]], total: int, query: Query) -> Response:
        wish = Wish.of(request)
        counted = "count" in wish.prefer
        if counted and query.offset > total:
            details = f"An offset of {query.offset} was requested, but there are only {total} rows."
            raise RestError(416, "PGRST103", "Requested range not satisfiable", details)
        partial = counted and len(rows) < total
        answer = _written(wish, rows, total, 206 if partial else 200, first=query.offset)
        if request.method == "HEAD":
            return Response(status_code=answer.status_code, headers=_headers(rows, total, counted, query.offset))
        return answer


def _written(wish: Wish, rows: list[dict[str, Any]], total: int, status: int, first: int = 0) -> Response:
    headers = _headers(rows, total, "count" in wish.prefer, first)
    if "nulls=stripped" in wish.accept:
        rows = [{name: value for name, value in row.items() if value is not None} for row in rows]
    if "text/csv" in wish.accept:
        return Response(_csv(rows), status, headers, "text/csv")
    if _ONE not in wish.accept:
        return JSONResponse(rows, status, headers)
    if len(rows) == 1:
        return JSONResponse(rows[0], status, headers)
    text = "Cannot coerce the result to a single JSON object"
    raise RestError(406, "PGRST116", text, f"The result contains {len(rows)} rows")


def _headers(rows: Sequence[Any], total: int, counted: bool, first: int) -> dict[str, str]:
    shown = f"{first}-{first + len(rows) - 1}" if rows else "*"
    return {"content-range": f"{shown}/{total if counted else '*'}"}


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _ranged(request: Request, query: Query) -> Query:
    """The header `Range: 0-9`, as older clients write a page."""
    first, _, last = request.headers.get("range", "").removeprefix("items=").partition("-")
    if request.method != "GET" or not first.isdigit() or query.limit is not None:
        return query
    return replace(query, offset=int(first), limit=int(last) - int(first) + 1 if last.isdigit() else None)


def _given(body: bytes) -> list[dict[str, Any]]:
    try:
        given = json.loads(body or b"[]")
    except ValueError:
        raise RestError(400, "PGRST102", "Empty or invalid json") from None
    rows = given if isinstance(given, list) else [given]
    if not all(isinstance(row, dict) for row in rows):
        raise RestError(400, "PGRST102", "All rows must be JSON objects")
    return rows


def _fits(table: Table, given: Sequence[Mapping[str, Any]]) -> None:
    """RestError for a column that the table does not have, where the settings name any."""
    known = {*table.columns, *table.key}
    for name in (name for row in given for name in row if table.declared and name not in known):
        text = f"Could not find the '{name}' column of '{table.name}' in the schema cache"
        hint = f"Add it to rehearsal.database.tables.{table.name}.columns in config.yaml"
        raise RestError(400, "PGRST204", text, hint=hint)


def _shown(request: Request, error: RestError) -> None:
    """What the settings lack, for the line of this request: an answer to HEAD has no body that would say so."""
    if error.body["hint"] and error.body["code"] in _LACKING:
        request.scope.setdefault("state", {})["why"] = f"{error.body['message']}. {error.body['hint']}"


def _one(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    return rows[0] if rows else {}


def _listed(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, Mapping) for each in value)


def _arguments(request: Request, table: Table) -> set[str]:
    """Of a function that is called by GET: the parameters that are no filters of its answer."""
    own = {*table.columns, "select", "order", "limit", "offset", "and", "or"}
    return {key for key in request.query_params if key.partition(".")[0].partition("->")[0] not in own}


def checked(settings: Any) -> Mapping[str, Any]:
    """The section `database`. SettingError for one of another form."""
    if not isinstance(settings, Mapping):
        raise SettingError(("database",), f"should be a mapping of {', '.join(_KINDS)}")
    for name, value in settings.items():
        if name not in _KINDS:
            raise unknown(("database", name), _KINDS)
        if not isinstance(value, _KINDS[name]):
            raise SettingError(("database", name), f"should be {_SHOWN[_KINDS[name]]}")
    return settings
