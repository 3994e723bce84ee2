"""What the hosted log endpoint refuses, read off ClickHouse's own syntax tree.

The tree comes from `EXPLAIN AST`, so the engine that runs a query is the one that says what is in it: no second
parser that could see something else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Ask = Callable[[str, dict[str, str]], str]

CLOSED_FUNCTIONS = {"file", "joinget", "joingetornull", "sleep", "sleepeachrow", "catboostevaluate", "hascolumnintable"}
IN_FUNCTIONS = {"in", "notin", "globalin", "globalnotin", "nullin", "notnullin", "globalnullin", "globalnotnullin"}


class SqlError(Exception):
    """The endpoint's own refusal, or ClickHouse's error, in one line."""


@dataclass
class Node:
    """One line of the tree: `Function count (alias c) (children 1)` has the kind Function and the name count."""

    kind: str
    name: str
    children: list[Node] = field(default_factory=list)

    def walk(self) -> Iterator[Node]:
        yield self
        for child in self.children:
            yield from child.walk()


def tree(text: str) -> Node:
    """The nodes of an `EXPLAIN AST` answer, nested by their indentation."""
    root = Node("", "")
    path = [root]
    for line in text.splitlines():
        depth = len(line) - len(line.lstrip(" "))
        node = _node(line.strip())
        del path[depth + 1 :]
        path[-1].children.append(node)
        path.append(node)
    return root


def _node(line: str) -> Node:
    kind, _, rest = line.partition(" ")
    name = re.sub(r"( \(alias .*\))?( \(children \d+\))?$", "", " " + rest)
    return Node(kind, name.strip())


def check(sql: str, ask: Ask) -> None:
    """Raises SqlError unless `sql` is one plain SELECT over the table `logs` within the endpoint's rules."""
    if not sql.strip():
        raise SqlError("The query is empty.")
    ask("SELECT formatQuerySingleLine({sql:String})", {"sql": sql})  # data here: never run, refuses two statements
    root = tree(ask(f"EXPLAIN AST {sql}", {}))
    problem = next(_problems(root), None)
    if problem:
        raise SqlError(problem)


def _problems(root: Node) -> Iterator[str]:
    top = root.children
    if len(top) != 1 or top[0].kind != "SelectWithUnionQuery" or len(top[0].children) != 1:
        yield "Only a plain SELECT without FORMAT, INTO OUTFILE or SETTINGS is allowed."
    for node in root.walk():
        problem = _RULES.get(node.kind, _nothing)(node)
        if problem:
            yield problem


def _nothing(_: Node) -> str:
    return ""


def _asterisk(_: Node) -> str:
    return "Wildcards are not allowed: list the columns (and use count() for count(*))."


def _settings(_: Node) -> str:
    return "SETTINGS are not allowed."


def _table(node: Node) -> str:
    return f"Table {node.name} does not exist: query logs." if "." in node.name else ""


def _source(node: Node) -> str:
    called = [child.name for child in node.children if child.kind == "Function"]
    return f"Table function {called[0]} is not allowed: query logs." if called else ""


def _function(node: Node) -> str:
    name = node.name.lower()
    if name in CLOSED_FUNCTIONS or name.startswith("dict"):
        return f"Function {node.name} is not allowed."
    if name in IN_FUNCTIONS:
        sought = node.children[0].children[-1]
        return _table(sought) if sought.kind == "Identifier" else ""
    return ""


_RULES: dict[str, Callable[[Node], str]] = {
    "Asterisk": _asterisk,
    "QualifiedAsterisk": _asterisk,
    "Set": _settings,
    "TableIdentifier": _table,
    "TableExpression": _source,
    "Function": _function,
}
