"""What the stand-in models answer: what the request asks for, by its own instructions."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from migration.rehearsal.providers.repair import repair

COMPONENTS = Path(__file__).parent / "components"
KINDS = (
    ("counter", "Counter", ("counter", "increment")),
    ("todo", "Todo List", ("todo", "to-do", "task list")),
    ("weather", "Weather Dashboard", ("weather", "forecast")),
    ("timer", "Stopwatch", ("timer", "stopwatch", "clock")),
    ("calculator", "Calculator", ("calculator", "calculate")),
    ("form", "Contact Form", ("form", "contact", "sign up")),
)
# Formats by the words that name them; the first word of a request decides among several.
FORMATS = {
    "svg": r"\bsvg\b",
    "html": r"\bhtml\b|\bweb ?page\b",
    "jsx": r"\breact\b|\bjsx\b|\btsx\b",
    "typescript": r"\btypescript\b",
    "javascript": r"\bjavascript\b",
    "python": r"\bpython\b",
    "sql": r"\bsql\b",
    "css": r"\bcss\b",
    "bash": r"\bbash\b|\bshell script\b",
    "yaml": r"\byaml\b",
    "csv": r"\bcsv\b",
    "markdown": r"\bmarkdown\b(?! (?:code )?(?:fence|block))",
    "json": r"\bjson\b",
}
LANGUAGES = {
    "german|deutsch": "Hier ist eine kurze Antwort auf: {}",
    "french|français": "Voici une courte réponse à : {}",
    "spanish|español": "Aquí tienes una respuesta breve a: {}",
    "italian|italiano": "Ecco una breve risposta a: {}",
    "portuguese|português": "Aqui está uma resposta curta a: {}",
    "dutch|nederlands": "Hier is een kort antwoord op: {}",
    "polish|polski": "Oto krótka odpowiedź na: {}",
    "swedish|svenska": "Här är ett kort svar på: {}",
    "turkish|türkçe": "İşte kısa bir yanıt: {}",
    "russian|русск": "Вот краткий ответ на: {}",
    "japanese|日本語": "{} への短い回答です。",
    "chinese|中文": "以下是对“{}”的简短回答。",
}
_BARE = re.compile(
    r"\bcode only\b|\bonly (?:the )?(?:\w+ ){0,2}(?:code|source|svg|html|json|query)\b|\bnothing but\b|\braw \w+\b"
    r"|\bno (?:other |extra )?(?:text|explanations?|prose|markdown|commentary|code fences|fences|backticks)\b"
    r"|\bwithout (?:any )?(?:explanations?|markdown|prose|commentary|(?:code )?fences|backticks)\b"
    r"|\b(?:do not|don't|never) (?:use|include|add|wrap)\b[^.\n]{0,40}(?:markdown|fence|backtick|explanation)", re.I
)  # fmt: skip
_FIX = re.compile(r"\b(fix|repair|debug|correct)(s|ed|ing)?\b", re.I)
_MAKE = re.compile(r"\b(create|build|make|write|generate|draw|design|implement|code|program|component|app)\b", re.I)
_EXACT = re.compile(
    r"\b(?:reply|respond|answer|say|output|return)\b(?: with)?(?: exactly| only| just)?(?: the words?)?:?\s*"
    r"(?:\"([^\"\n]{1,200})\"|“([^”\n]{1,200})”|`([^`\n]{1,200})`|'([^'\n]{1,200})')", re.I
)  # fmt: skip
_ALWAYS = re.compile(_EXACT.pattern.replace("(?: exactly| only| just)?", "(?: exactly| only| just)")
                     + r"(?!\s*,?\s*(?:if|when|unless|for|in case)\b)", re.I)  # fmt: skip
_ASKED = re.compile(r"\b(wrap|inside|within|between|exactly|format|answer|respond|return|output|use)\w*\b", re.I)
_TAGS = re.compile(r"<([A-Za-z][\w-]*)((?:\s+[\w-]+\s*=\s*\"[^\"<>]*\")*)\s*>([^<]{0,80})</\1>", re.S)
# Elements of web pages are what an answer may hold, never what it is wrapped in.
_MARKUP = frozenset(re.findall(r"\w+", """a article b body button canvas code div em footer form g h1 h2 h3 head header
    html i img input label li link main nav ol option p path pre script section select span strong style svg table td
    textarea th title tr ul"""))  # fmt: skip
_HEADED = re.compile(r"^The code:\n(.*)", re.S | re.M)
_FENCE = re.compile(r"```[\w+-]*\n(.*?)```", re.S)
_WRAPPED = re.compile(r"\s*<([A-Za-z][\w-]*)\b[^>]*>(.*?)(?:</\1>\s*|\Z)", re.S)
_SOURCE = re.compile(r"^(?:import|export|function|const|let|class|async|def)\b.*|^<[A-Za-z!].*", re.S | re.M)
_SCRIPT = re.compile(r"\b(?:import|export|function|const|let|return)\b|=>")


@dataclass(frozen=True)
class Instructions:
    """What a request wants. `wrapper`: tag and attributes to put around the answer; `bare`: the code and no more."""

    format: str
    wrapper: tuple[str, str] | None
    bare: bool
    sentence: str


def text(content: Any) -> str:
    """The text of a message content: a string, or a list of parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    return ""


def answer(system: str, prompt: str, schema: Mapping[str, Any] | None = None) -> str:
    """The whole text of the answer to a system instruction and a user message; `schema`: JSON is demanded."""
    if schema is not None:
        return json.dumps(filled(schema, _title(prompt)) if schema else _example(system, prompt), ensure_ascii=False)
    exact = _EXACT.search(prompt) or _ALWAYS.search(system)
    if exact:
        return str(next(filter(None, exact.groups())))
    wanted = instructions(system, prompt)
    code = source(prompt) if _FIX.search(f"{system}\n{prompt}") else ""
    if code:
        return _delivered(wanted, "Fixed code", repair(code) if _SCRIPT.search(code) or "<" in code else code)
    if wanted.wrapper or (wanted.format and (wanted.bare or _MAKE.search(prompt) or _named(prompt))):
        title, artifact = _made(wanted.format or "jsx", prompt, system)
        return _delivered(wanted, title, artifact)
    return wanted.sentence.format(_title(prompt))


def instructions(system: str, prompt: str) -> Instructions:
    """Read off the request; the wrapper's own type comes before the user's words, and these before the system's."""
    both = f"{system}\n{prompt}"
    wrapper = _wrapper(system) or _wrapper(prompt)
    typed = _formats(wrapper[1]) if wrapper else []
    wanted = _formats(prompt)
    among = [name for name in wanted if name in typed] if len(typed) > 1 else typed
    form = next(iter([*among, *typed[:1], *wanted, *_formats(system)]), "")
    sentence = next(
        (line for names, line in LANGUAGES.items() if re.search(rf"\b(?:in|auf|en) (?:{names})", both, re.I)),
        "Here is a short answer to: {}",
    )
    return Instructions(form, wrapper, bool(_BARE.search(both)), sentence)


def torn(answer: str) -> str:
    """The same answer with code that ends in the middle, as a model that lost its place leaves it."""
    wrapped = _WRAPPED.match(answer)
    inner = wrapped if wrapped and wrapped[1].lower() not in _MARKUP else None
    start, end = inner.span(2) if inner else (0, len(answer))
    code = answer[start:end].rstrip()
    return f"{answer[:start]}{code[: len(code) // 2]}\n{answer[end:]}"


def source(prompt: str) -> str:
    """The code that a request carries: after its heading, in a fence, or as it stands; empty without any."""
    for pattern in (_HEADED, _FENCE, _SOURCE):
        match = pattern.search(prompt)
        if match:
            code = (match[1] if match.re.groups else match[0]).strip()
            wrapped = _WRAPPED.fullmatch(code)
            return wrapped[2].strip() if wrapped and wrapped[1].lower() not in _MARKUP else code
    return ""


def _formats(words: str) -> list[str]:
    """The formats that a text names, in the order of its words."""
    places = {name: match.start() for name, pattern in FORMATS.items() if (match := re.search(pattern, words, re.I))}
    return sorted(places, key=places.__getitem__)


def _named(prompt: str) -> bool:
    return bool(_formats(prompt))


def _wrapper(words: str) -> tuple[str, str] | None:
    """The element that an instruction wants around its answer: an example of it, after words that ask for one."""
    for match in _TAGS.finditer(words):
        request = _ASKED.search(words[max(0, match.start() - 160) : match.start()])
        if match[1].lower() not in _MARKUP and (request or match[2]):
            return match[1], match[2]
    return None


def _delivered(wanted: Instructions, title: str, code: str) -> str:
    """The code as the request wants it: in its element, bare, or in a fence with a sentence before."""
    code = code.strip()
    if wanted.wrapper:
        tag, attributes = wanted.wrapper
        return f"<{tag}{_attributes(attributes, title, wanted.format)}>\n{code}\n</{tag}>\n"
    if wanted.bare or wanted.format == "markdown":
        return code + "\n"
    return f"{wanted.sentence.format(title)}\n\n```{wanted.format}\n{code}\n```\n"


def _attributes(template: str, title: str, form: str) -> str:
    """The example's attributes with a title of our own, and the one type where it lists several."""

    def value(match: re.Match[str]) -> str:
        name, given = match[1], match[2]
        if name in ("title", "name"):
            given = html.escape(title, quote=True)
        elif name in ("id", "identifier"):
            given = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
        elif "|" in given:
            given = next((each for each in given.split("|") if form in _formats(each)), given.split("|")[0]).strip()
        return f'{name}="{given}"'

    return re.sub(r'([\w-]+)\s*=\s*"([^"]*)"', value, template)


def _made(form: str, prompt: str, system: str) -> tuple[str, str]:
    """Title and code of the format."""
    low, title = prompt.lower(), _title(prompt)
    if form == "jsx":
        for name, known, words in KINDS:
            if any(word in low for word in words):
                return known, (COMPONENTS / f"{name}.jsx").read_text()
        return title, (COMPONENTS / "card.jsx").read_text().replace('"TITLE"', json.dumps(title))
    if form == "json":
        return title, json.dumps(_example(system, prompt), ensure_ascii=False)
    quoted, escaped = json.dumps(title, ensure_ascii=False), html.escape(title)
    return title, {
        "svg": '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100">'
        f'<title>{escaped}</title><circle cx="50" cy="50" r="40" fill="teal"/></svg>',
        "html": f'<!doctype html><html lang="en"><title>{escaped}</title><h1>{escaped}</h1></html>',
        "typescript": f"export function main(): string {{\n  return {quoted};\n}}",
        "javascript": f"export function main() {{\n  return {quoted};\n}}",
        "python": f"def main() -> str:\n    return {quoted}\n\n\nprint(main())",
        "sql": "select id, name from items order by id;",
        "css": "main {\n  display: grid;\n  gap: 1rem;\n}",
        "bash": f"#!/bin/sh\necho {quoted}",
        "yaml": f"title: {quoted}",
        "csv": f"title\n{quoted}",
        "markdown": f"# {title}\n\n- first\n- second",
    }[form]


def _example(system: str, prompt: str) -> Any:
    """The object that the request shows as its example; without one, an object with the answer."""
    for words in (prompt, system):
        for start in (match.start() for match in re.finditer(r"[{\[]", words)):
            try:
                example, _ = json.JSONDecoder().raw_decode(words[start:])
            except ValueError:
                continue
            if example:
                return example
    return {"answer": _title(prompt)}


def filled(schema: Mapping[str, Any], title: str) -> Any:
    """A value that fits a JSON Schema, with `title` for its texts."""
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for choice in ("anyOf", "oneOf", "allOf"):
        if schema.get(choice):
            return filled(schema[choice][0], title)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = next((one for one in kind if one != "null"), "null") if isinstance(kind, list) else kind
    if kind == "object":
        return {name: filled(each, title) for name, each in (schema.get("properties") or {}).items()}
    if kind == "array":
        return [filled(schema.get("items") or {}, title)] * max(1, int(schema.get("minItems", 1)))
    plain: dict[str, Any] = {"integer": int(schema.get("minimum", 1)), "number": schema.get("minimum", 1.5)}
    return {**plain, "boolean": True, "null": None}.get(kind, title)


def _title(prompt: str) -> str:
    words = prompt.split()
    return " ".join(words[:8]) if words else "Untitled"
