"""The rows of the sandbox's database: seeded by `rehearsal.database.tables`, read and changed as PostgREST does.

A table is a list of rows, or a mapping: `rows`, `key` (columns that identify a row; `id` where there is one), `columns`
(further ones) and `defaults` (column -> value, or now(), uuid(), identity()). A column NAME_id leads to the table NAME
or its plural; `rehearsal.database.relations` names other ones: {orders.owner: profiles.id}.
"""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from migration.base import durable
from migration.rehearsal.backend.grammar import Count, Embed, Filter, Item, Order, Query, RestError, names
from migration.rehearsal.backend.values import Row, at, holds, ordered
from migration.rehearsal.mistake import SettingError, unknown

_TABLE = frozenset({"rows", "key", "columns", "defaults"})


@dataclass
class Table:
    """Rows of one table, in the order in which they came."""

    name: str
    rows: list[dict[str, Any]]
    key: tuple[str, ...]
    defaults: Mapping[str, Any]
    declared: tuple[str, ...] = ()

    @property
    def columns(self) -> list[str]:
        named = (name for row in self.rows for name in row)
        return list(dict.fromkeys([*self.declared, *named, *self.defaults]))

    def add(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The row as it is stored, with the table's defaults for what is not given."""
        defaults = {name: self._default(value, name) for name, value in self.defaults.items() if name not in given}
        if self.key == ("id",) and "id" not in given and "id" not in defaults:
            defaults = {"id": self._identity("id")} | defaults
        whole: dict[str, Any] = {**dict.fromkeys(self.columns), **defaults, **given}
        self.rows.append(whole)
        return whole

    def same(self, row: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any] | None:
        """The stored row with the same values in these columns; null equals nothing."""
        wanted = [row.get(name) for name in columns]
        if not columns or None in wanted:
            return None
        return next((each for each in self.rows if [each.get(name) for name in columns] == wanted), None)

    def _default(self, value: Any, name: str) -> Any:
        if value == "now()":
            return datetime.now(UTC).isoformat()
        if value == "uuid()":
            return str(uuid.uuid4())
        return self._identity(name) if value == "identity()" else value

    def _identity(self, name: str) -> Any:
        """The next number, or a UUID where the table's other rows have such."""
        held = [row[name] for row in self.rows if row.get(name) is not None]
        if held and not all(isinstance(each, int) for each in held):
            return str(uuid.uuid4())
        return max(held, default=0) + 1


@dataclass(frozen=True)
class Relation:
    """A foreign key: `column` of `table` holds `other_column` of `other`."""

    table: str
    column: str
    other: str
    other_column: str

    def called(self, hint: str) -> bool:
        return hint in ("", self.column, self.other, self.table, f"{self.table}_{self.column}_fkey")


@dataclass
class Tables:
    """All tables. Every change is written to `path`; rows of the settings come again where the settings changed."""

    settings: Mapping[str, Any]
    path: Path
    tables: dict[str, Table] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._declared = [_relation(*each) for each in (self.settings.get("relations") or {}).items()]
        self.reset(keep=True)

    def reset(self, keep: bool = False) -> None:
        """As the settings say; `keep` what was written since, of tables whose settings are what they were."""
        seeds = self.settings.get("tables") or {}
        saved = _saved(self.path) if keep else {}
        self.tables = {name: _table(name, seed) for name, seed in seeds.items()}
        for name, table in self.tables.items():
            if name in saved and saved[name].get("seed") == _plain(seeds[name]):
                table.rows = saved[name]["rows"]

    def save(self) -> None:
        seeds = self.settings.get("tables") or {}
        whole = {name: {"seed": _plain(seeds[name]), "rows": table.rows} for name, table in self.tables.items()}
        durable.write(self.path, json.dumps(whole, ensure_ascii=False).encode(), sync=False)

    def table(self, name: str) -> Table:
        """RestError, in PostgREST's form, for one that the settings do not name."""
        if name not in self.tables:
            where = f"rehearsal.database.tables.{name.removeprefix('public.')}"
            text = f"Could not find the table 'public.{name}' in the schema cache"
            raise RestError(404, "PGRST205", text, hint=f"The sandbox has no such table: add {where} to config.yaml")
        return self.tables[name]

    # reading

    def read(self, name: str, query: Query) -> tuple[list[dict[str, Any]], int]:
        """The page of rows as they are shown, and how many rows there are in all."""
        rows = self.matching(name, query)
        page = rows[query.offset :] if query.limit is None else rows[query.offset :][: query.limit]
        return self.shown(name, page, query, whole=rows), len(rows)

    def matching(self, name: str, query: Query) -> list[dict[str, Any]]:
        """The rows that the filters let through, in order."""
        table = self.table(name)
        self._known(table, query)
        embeds = {each.shown: each for each in query.select if isinstance(each, Embed)}
        own = [term for term in query.terms if not (isinstance(term, Filter) and term.column.path[0] in embeds)]
        rows = [row for row in table.rows if all(holds(term, row) for term in own)]
        for term in set(query.terms) - set(own):  # rel=is.null, rel=not.is.null
            assert isinstance(term, Filter)
            embed = embeds[term.column.path[0]]
            rows = [row for row in rows if bool(self._related(name, row, embed, query)) is term.negated]
        for embed in embeds.values():
            if embed.inner:
                rows = [row for row in rows if self._related(name, row, embed, query)]
        for order in reversed(query.order):
            rows = self._ordered(name, rows, order)
        return rows

    def shown(
        self, name: str, rows: Sequence[Row], query: Query, whole: Sequence[Row] | None = None
    ) -> list[dict[str, Any]]:
        """The rows with the columns and related rows that the select asks for."""
        counts = [item for item in query.select if isinstance(item, Count)]
        if counts and len(counts) == len(query.select):
            return [{counts[0].alias: len(rows if whole is None else whole)}]
        return [self._row(name, row, query.select, query) for row in rows]

    def _row(self, name: str, row: Row, select: Sequence[Item], query: Query) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        for item in select:
            if isinstance(item, Embed):
                value = self._embedded(name, row, item, query)
                shown |= (value or {}) if item.spread else {item.shown: value}
            elif isinstance(item, Count):
                shown[item.alias] = 1
            elif item.path == ("*",):
                shown |= {column: row.get(column) for column in self.table(name).columns}
            else:
                shown[item.shown] = at(row, item)
        return shown

    def _embedded(self, name: str, row: Row, embed: Embed, query: Query) -> Any:
        inner = self._inner(embed, query)
        related = self._related(name, row, embed, query)
        target, single = self.relation(name, embed)[1:]
        page = related[inner.offset :] if inner.limit is None else related[inner.offset :][: inner.limit]
        shown = self.shown(target, page, inner, whole=related)
        return next(iter(shown), None) if single and related else None if single else shown

    def _related(self, name: str, row: Row, embed: Embed, query: Query) -> list[dict[str, Any]]:
        steps, target, _ = self.relation(name, embed)
        rows: list[Row] = [row]
        for table, column, other_column in steps:
            wanted = [each.get(column) for each in rows if each.get(column) is not None]
            rows = [each for each in self.table(table).rows if each.get(other_column) in wanted]
        kept = {id(each) for each in rows}
        return [each for each in self.matching(target, self._inner(embed, query)) if id(each) in kept]

    def _inner(self, embed: Embed, query: Query) -> Query:
        level = query.inner.get(embed.shown) or query.inner.get(embed.relation) or Query()
        return Query(embed.select, level.terms, level.order, level.limit, level.offset, level.inner)

    def _ordered(self, name: str, rows: Sequence[Row], order: Order) -> list[Any]:
        def key(row: Row) -> Any:
            if not order.relation:
                return at(row, order.column)
            embed = Embed(order.relation, "", "", False, False, ())
            related = self._related(name, row, embed, Query())
            return at(related[0], order.column) if related else None

        return ordered(rows, key, order.descending, order.nulls_first)

    def _known(self, table: Table, query: Query) -> None:
        """RestError for a column that the table does not have; one of which the settings name no column has all."""
        known = set(table.columns) if table.declared else set()
        embeds = {each.shown for each in query.select if isinstance(each, Embed)}
        names_used = [*names(query.select), *(order.column.path[0] for order in query.order if not order.relation)]
        names_used += [term.column.path[0] for term in _leaves(query.terms) if term.column.path[0] not in embeds]
        for name in names_used if known else ():
            if name not in known:
                hint = f"Add it to rehearsal.database.tables.{table.name}.columns in config.yaml"
                raise RestError(400, "42703", f"column {table.name}.{name} does not exist", hint=hint)

    # relationships

    def relation(self, name: str, embed: Embed) -> tuple[list[tuple[str, str, str]], str, bool]:
        """The steps from a row of `name` (table, own column, its column), the table they end at, and if it is one row.

        RestError where there is none, or more than one and no hint.
        """
        wanted, relations = embed.relation, []
        for each in self._relations():
            if each.table == name and wanted in (each.other, each.column) and each.called(embed.hint):
                relations.append(([(each.other, each.column, each.other_column)], each.other, True))
            if each.other == name and each.table == wanted and each.called(embed.hint) and each.table != name:
                single = self.tables[each.table].key == (each.column,)
                relations.append(([(each.table, each.other_column, each.column)], each.table, single))
        relations += self._through(name, wanted, embed.hint, sure=True)
        relations = relations or list(self._through(name, wanted, embed.hint, sure=False))
        if len(relations) > 1:
            text = f"Could not embed because more than one relationship was found for '{name}' and '{wanted}'"
            raise RestError(300, "PGRST201", text, hint=f"Try changing '{wanted}' to '{wanted}!COLUMN'")
        if not relations:
            hint = f"Name it in config.yaml: rehearsal.database.relations: {{{name}.COLUMN: {wanted}.id}}"
            text = f"Could not find a relationship between '{name}' and '{wanted}' in the schema cache"
            raise RestError(400, "PGRST200", text, hint=hint)
        return relations[0]

    def _through(
        self, name: str, wanted: str, hint: str, *, sure: bool
    ) -> Iterator[tuple[list[tuple[str, str, str]], str, bool]]:
        """By a table that leads to both; `sure`: by its key, as PostgREST demands."""
        for one, two in itertools.permutations(self._relations(), 2):
            if sure and not {one.column, two.column} <= set(self.tables[one.table].key):
                continue
            if one.table == two.table and one.other == name and two.other == wanted and hint in ("", one.table):
                steps = [(one.table, one.other_column, one.column), (two.other, two.column, two.other_column)]
                yield steps, wanted, False

    def _relations(self) -> list[Relation]:
        named = {(each.table, each.column) for each in self._declared}
        guessed = [
            Relation(table.name, column, other, "id")
            for table in self.tables.values()
            for column in table.columns
            if (table.name, column) not in named and column.endswith("_id")
            for other in _plurals(column[:-3])
            if other in self.tables
        ]
        return [*self._declared, *guessed]


def _leaves(terms: Sequence[Any]) -> Iterator[Filter]:
    for term in terms:
        if isinstance(term, Filter):
            yield term
        else:
            yield from _leaves(term.terms)


def _plurals(word: str) -> tuple[str, ...]:
    return word, f"{word}s", f"{word}es", f"{word[:-1]}ies"


def _relation(source: str, target: str) -> Relation:
    (table, _, column), (other, _, other_column) = source.rpartition("."), str(target).rpartition(".")
    if not (table and other):
        raise SettingError(("database", "relations", source), "should be TABLE.COLUMN: TABLE.COLUMN")
    return Relation(table, column, other, other_column)


def _table(name: str, seed: Any) -> Table:
    where = ("database", "tables", name)
    about = seed if isinstance(seed, Mapping) else {"rows": seed or []}
    if other := set(about) - _TABLE:
        raise unknown((*where, min(other)), sorted(_TABLE))
    rows = about.get("rows") or []
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise SettingError(where, "should be a list of rows, each a mapping of columns to values")
    key = about.get("key") or "id"
    table = Table(
        name, [], (key,) if isinstance(key, str) else tuple(key), dict(about.get("defaults") or {}),
        tuple(about.get("columns") or ()),
    )  # fmt: skip
    table.declared = tuple(dict.fromkeys([*table.declared, *(column for row in rows for column in row)]))
    if table.key == ("id",) and table.declared and "id" not in table.declared:
        table.key = ()
    for row in _plain(rows):
        table.add(row)
    return table


def _plain(value: Any) -> Any:
    """As JSON holds it: YAML reads dates, which the rows show as text."""
    return json.loads(json.dumps(value, default=str))


def _saved(path: Path) -> dict[str, Any]:
    try:
        saved = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return saved if isinstance(saved, dict) else {}
