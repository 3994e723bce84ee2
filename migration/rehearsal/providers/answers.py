"""What the models say: real components by the kind that was asked for, real repairs, plain chat."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from migration.rehearsal.providers.repair import repair

COMPONENTS = Path(__file__).parent / "components"
KINDS = (
    ("counter", "Counter", ("counter", "increment")),
    ("todo", "Todo List", ("todo", "to-do", "task list")),
    ("timer", "Stopwatch", ("timer", "stopwatch", "clock")),
    ("calculator", "Calculator", ("calculator", "calculate")),
    ("form", "Contact Form", ("form", "contact", "sign up")),
)
REACT, HTML, SVG = "application/vnd.ant.react", "text/html", "image/svg+xml"
HEADED = re.compile(r"^The code:\n(.*)", re.S | re.M)
FENCE = re.compile(r"```[a-z]*\n(.*?)```", re.S)
ARTIFACT = re.compile(r"<artifact\b[^>]*>(.*?)(?:</artifact>|\Z)", re.S)
SOURCE = re.compile(r"^(?:import|export|function|const|class)\b.*", re.S | re.M)


def text(content: Any) -> str:
    """The text of a message content: a string, or a list of parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    return ""


def answer(system: str, prompt: str) -> str:
    """The whole text of the model's answer to one system instruction and one user message."""
    if re.search(r"\b(fix|repair|debug)", system.lower()):
        fixed = repair(source(prompt))
        return fixed if "code only" in system else _artifact("Fixed component", REACT, fixed)
    if "<artifact" in system or "artifact" in prompt.lower():
        return _made(system, prompt)
    return f"Here is a short answer to: {_title(prompt)}"


def torn(answer: str) -> str:
    """The same answer with code that ends in the middle, as a model that forgot where it was leaves it."""
    found = ARTIFACT.search(answer)
    start, end = found.span(1) if found else (0, len(answer))
    code = answer[start:end].rstrip()
    return f"{answer[:start]}{code[: len(code) // 2]}\n{answer[end:]}"


def source(prompt: str) -> str:
    """The code that a repair prompt carries: after its heading, in a fence, in an artifact, or as it stands."""
    for pattern in (HEADED, FENCE, ARTIFACT, SOURCE):
        found = pattern.search(prompt)
        if found:
            return found.group(found.re.groups).strip()
    return prompt


def _made(system: str, prompt: str) -> str:
    low, title = prompt.lower(), _title(prompt)
    if SVG in system:
        return _artifact(title, SVG, _svg(title))
    if HTML in system:
        return _artifact(title, HTML, _page(title))
    for name, known, words in KINDS:
        if any(word in low for word in words):
            return _artifact(known, REACT, (COMPONENTS / f"{name}.jsx").read_text())
    card = (COMPONENTS / "card.jsx").read_text().replace('"TITLE"', json.dumps(title))
    return _artifact(title, REACT, card)


def _artifact(title: str, kind: str, code: str) -> str:
    opening = f'<artifact type="{kind}" title="{html.escape(title, quote=True)}">'
    return f"{opening}\n{code.strip()}\n</artifact>\n"


def _title(prompt: str) -> str:
    words = prompt.split()
    return " ".join(words[:8]) if words else "Untitled"


def _svg(title: str) -> str:
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100">'
        f"<title>{html.escape(title)}</title>"
        '<circle cx="50" cy="50" r="40" fill="teal"/></svg>'
    )


def _page(title: str) -> str:
    return f'<!doctype html><html lang="en"><title>{html.escape(title)}</title><h1>{html.escape(title)}</h1></html>'
