"""How a function wants to be called, by its text: method, who calls, names in the query and in the body."""

from __future__ import annotations

import re
from collections.abc import Iterable

from migration.setup.adoption import code

_JSON = r"\(?\s*(?:await\s+)?(?:\w+\.)?_?[rR]eq\w*\.json\(\)"  # not `response.json()`
_READS = re.compile(r"[rR]eq\w*\.json\(\)")  # the same, wherever it stands: a search must not begin at every letter
_TYPED = r"\s*(?::[^=]*)?=\s*"
_BODY = re.compile(rf"\b(?:const|let|var)\s*\{{(?P<names>[^{{}}]*)\}}{_TYPED}{_JSON}")
_WHOLE = re.compile(rf"\b(?:const|let|var)\s+(?P<name>\w+){_TYPED}{_JSON}")
# What a body is called where a function of its own takes it apart.
_APART = re.compile(
    rf"\b(?:const|let|var)\s*\{{(?P<names>[^{{}}]*)\}}{_TYPED}(?:body|payload|input|req(?:uest)?_?[bB]ody)\b(?!\s*[.(\[])"
)
# https://zod.dev: `schema.parse(await req.json())`, or of a variable that holds it.
_PARSED = re.compile(r"\b(?P<schema>\w+)\s*\.\s*(?:safe)?[pP]arse(?:Async)?\(\s*(?P<what>[^;\n]*)")
_MAYBE = re.compile(r"\.(?:optional|nullish|default|catch)\(")
_QUERY = re.compile(r"\bsearchParams\s*\.\s*get\(\s*[\"'`](\w+)[\"'`]\s*\)")
_USER = re.compile(r"\bauth\s*\.\s*getUser\s*\(|\bauth\s*\.\s*getClaims\s*\(")
_METHOD = re.compile(r"""\.method\s*!==?\s*["'`](?P<method>GET|PUT|PATCH|DELETE)["'`]""")


def body_names(text: str) -> list[str]:
    """The names that a function takes out of the request's JSON, at once, by way of a variable or of a schema of zod.

    Those without a value of their own in the text, where there are such: a request needs them.
    """
    match, whole = _BODY.search(text), _WHOLE.search(text)
    if match is None and (named := _schema(text, whole["name"] if whole else "")):
        return named
    if match is None and whole:
        name = re.escape(whole["name"])
        match = re.search(rf"\{{(?P<names>[^{{}}]*)\}}{_TYPED}{name}\b(?!\s*[.(\[])", text[whole.end() :])
        if match is None:
            members = re.findall(rf"(?<![\w.]){name}\??\.(\w+)\b(?!\s*\()", text[whole.end() :])
            if members:
                return list(dict.fromkeys(members))
    if match is None and _READS.search(text):
        match = _APART.search(text)
    parts = [part.strip() for part in code.split(match["names"] + ")", 0)] if match else []
    return _needed([(part.split("=")[0].split(":")[0].strip(), "=" in part) for part in parts])


def _schema(text: str, name: str) -> list[str]:
    """The keys of the schema that reads the body; `name` is the variable that holds it, if there is one."""
    for match in _PARSED.finditer(text):
        if not (re.match(_JSON, match["what"]) or (name and re.match(rf"{re.escape(name)}\b", match["what"]))):
            continue
        call = re.search(
            rf"\b{re.escape(match['schema'])}\s*(?::[^=]*)?=\s*z\s*\.\s*(?:strictO|looseO|o)bject\(\s*\{{", text
        )
        if call:
            parts = [part.strip().partition(":") for part in code.split(text, call.end())]
            return _needed([(key.strip(), bool(_MAYBE.search(value))) for key, _, value in parts])
    return []


def _needed(named: Iterable[tuple[str, bool]]) -> list[str]:
    """Of names, each with whether it may be absent, those that may not, where there are such."""
    known = [(name, optional) for name, optional in named if re.fullmatch(r"\w+", name)]
    return [name for name, optional in known if not optional] or [name for name, _ in known]


def query_names(text: str) -> list[str]:
    """The names that a function looks up in the query of the request's address."""
    return list(dict.fromkeys(_QUERY.findall(text)))


def method(texts: Iterable[str]) -> str:
    """The method other than POST that a function insists on; empty for none."""
    methods = {match["method"] for text in texts for match in _METHOD.finditer(text)}
    return methods.pop() if len(methods) == 1 else ""


def signed_in(texts: Iterable[str]) -> bool:
    """Whether a function asks who the signed-in user is: it answers 401 to anyone else."""
    return any(_USER.search(text) for text in texts)
