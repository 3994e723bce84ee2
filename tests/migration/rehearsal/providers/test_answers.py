"""The artifacts are run, not looked at: Deno renders each with a small React of our own and presses its buttons."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import deno  # type: ignore[import-untyped]
import pytest

from migration.rehearsal.providers import answers
from migration.rehearsal.providers.repair import repair

SYSTEM = 'Answer with exactly one artifact: <artifact type="application/vnd.ant.react" title="A title">…</artifact>'
REACT = """
let slots = [], at = 0;
export const useState = (first) => {
  const mine = at++;
  if (!(mine in slots)) slots[mine] = first;
  return [slots[mine], (next) => { slots[mine] = typeof next === "function" ? next(slots[mine]) : next; }];
};
export const useEffect = () => { at++; };
export const jsx = (type, props) => ({ type, props });
export const jsxs = jsx;
export const Fragment = "fragment";
export const render = (App) => { at = 0; return jsx(App, {}).type({}); };
export const forget = () => { slots = []; };
"""
DRIVER = """
import { forget, render } from "react";
const nodes = (tree) => Array.isArray(tree) ? tree.flatMap(nodes)
  : tree === null || typeof tree !== "object" ? [] : [tree, ...nodes(tree.props.children ?? [])];
const text = (tree) => Array.isArray(tree) ? tree.map(text).join("") : tree === null || tree === false ? ""
  : typeof tree === "object" ? text(tree.props.children ?? "") : String(tree);
const said = {};
for (const name of Deno.args) {
  const { default: App } = await import(`./${name}.jsx`);
  forget();
  const press = (label) => nodes(render(App)).find((n) => n.type === "button" && text(n) === label).props.onClick();
  const steps = [text(render(App))];
  if (name === "counter") { press("Increment"); press("Increment"); press("Decrement"); steps.push(text(render(App))); }
  if (name === "todo") {
    nodes(render(App)).find((n) => n.type === "input").props.onChange({ target: { value: "Buy milk" } });
    nodes(render(App)).find((n) => n.type === "form").props.onSubmit({ preventDefault() {} });
    steps.push(text(render(App)));
    nodes(render(App)).find((n) => n.props.type === "checkbox").props.onChange();
    steps.push(text(render(App)));
  }
  said[name] = steps;
}
console.log(JSON.stringify(said));
"""
PROMPTS = {
    "counter": "Create a simple counter component with increment and decrement buttons",
    "todo": "Create a todo list app",
    "timer": "Make a stopwatch",
    "calculator": "Build a calculator",
    "form": "A contact form, please",
    "card": 'Something "else" <entirely>',
}
BROKEN = {
    "plain": "export default function App() { return <div>Missing closing tag; }",
    "nested": "export default function App() { return <ul><li>a<li>b</ul>; }",
    "brackets": "const list = [1, 2;\nexport default function App() { return <p>{list.length</p>; }",
    "void": "export default function App() { return <div><br><img src='a.png'></div>; }",
    "end": "export default function App() {\n  return (\n    <main>\n      <h1>Hi</h1>\n",
}


def code(answer: str) -> str:
    found = re.fullmatch(
        r'<artifact type="application/vnd\.ant\.react" title="[^"<>]+">\n(.*)</artifact>\n', answer, re.S
    )
    assert found, answer
    return found[1]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    folder = tmp_path_factory.mktemp("components")
    sources = {name: code(answers.answer(SYSTEM, prompt)) for name, prompt in PROMPTS.items()}
    sources |= {f"fixed-{name}": repair(source) for name, source in BROKEN.items()}
    for name, source in sources.items():
        (folder / f"{name}.jsx").write_text(source)
    (folder / "react.js").write_text(REACT)
    (folder / "driver.js").write_text(DRIVER)
    options = {"jsx": "react-jsx", "jsxImportSource": "react"}
    imports = {"react": "./react.js", "react/jsx-runtime": "./react.js"}
    (folder / "deno.json").write_text(json.dumps({"compilerOptions": options, "imports": imports}))
    command = [deno.find_deno_bin(), "run", "--no-remote", "--no-npm", "--no-lock", "--allow-read=.", "driver.js"]
    environment = {"DENO_DIR": str(folder / "cache"), "DENO_NO_UPDATE_CHECK": "1", "NO_COLOR": "1"}
    ran = subprocess.run([*command, *sources], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    told: dict[str, list[str]] = json.loads(ran.stdout)
    return told


def test_the_counter_counts(said: dict[str, Any]) -> None:
    assert [re.findall(r"\d+", step) for step in said["counter"]] == [["0"], ["1"]]


def test_the_todo_list_takes_and_ticks_items(said: dict[str, Any]) -> None:
    empty, added, ticked = said["todo"]
    assert "0 left" in empty
    assert "Buy milk" in added and "1 left" in added
    assert "0 left" in ticked


def test_every_kind_renders(said: dict[str, Any]) -> None:
    assert all(said[name][0] for name in PROMPTS)
    assert 'Something "else" <entirely>' in said["card"][0]


def test_broken_code_comes_back_running(said: dict[str, Any]) -> None:
    """Each broken component runs once repaired, and shows what its author meant."""
    assert said["fixed-plain"] == ["Missing closing tag"]
    assert said["fixed-nested"] == ["ab"]
    assert said["fixed-brackets"] == ["2"]
    assert said["fixed-end"][0].strip() == "Hi"


@pytest.mark.parametrize("path", sorted(answers.COMPONENTS.glob("*.jsx")), ids=lambda path: path.stem)
def test_right_code_is_left_alone(path: Path) -> None:
    assert repair(path.read_text()) == path.read_text()


def test_the_fixer_answers_with_the_code_only() -> None:
    """For the app's repair request the answer is the repaired code, nothing around it."""
    system = "You repair web artifacts that fail to run. Answer with the whole corrected code only"
    request = f"The error:\nUnexpected token\n\nThe code:\n{BROKEN['plain']}"
    assert (
        answers.answer(system, request) == "export default function App() { return <div>Missing closing tag</div>; }\n"
    )


def test_chat_stays_prose() -> None:
    """A wrapper that is for code alone is not put around a greeting."""
    assert answers.answer("You are the assistant of an artifact studio.", "Hello").startswith("Here is a short answer")


LISTED = 'Wrap code in <artifact type="application/vnd.ant.react|text/html|image/svg+xml" title="…">…</artifact>.'
ASKS = {
    "the one type of the wrapper": (
        '<artifact type="image/svg+xml" title="">…</artifact>',
        "a <red> fox",
        '<svg xmlns="',
    ),
    "a page": ('Answer with <artifact type="text/html" title="">…</artifact>', "a page", "<!doctype html>"),
    "the first of several types": (LISTED, "Create a counter", '<artifact type="application/vnd.ant.react"'),
    "the type that the user names": (LISTED, "Create an HTML page", '<artifact type="text/html" title="Create'),
    "types that are mentioned only": (
        "You write image/svg+xml or React code, code only.",
        "A React counter",
        "import {",
    ),
    "bare by other words": ("Return raw SVG without markdown fences.", "Draw a fox", "<svg xmlns="),
    "a fence where nothing is said": ("You are a programmer.", "Write a Python function", "Here is a short answer to:"),
    "an element of its own name": ("Respond inside <answer></answer> with SQL.", "All items", "<answer>\nselect id"),
    "another language": ("Answer in German.", "What is Deno?", "Hier ist eine kurze Antwort auf: What is Deno?"),
    "exactly these words": ("Be terse.", 'Reply with exactly "pong"', "pong"),
    "an example of JSON": (
        'Answer as JSON like {"mood": "calm", "score": 1}, nothing but JSON.',
        "Hm",
        '{"mood": "calm"',
    ),
    "a repair in a fence": (
        "You fix code.",
        "Fix it:\nconst a = [1, 2;",
        "Here is a short answer to: Fixed code\n\n```",
    ),
}


@pytest.mark.parametrize("name", ASKS)
def test_the_request_decides_the_form(name: str) -> None:
    """Format, wrapping and language follow the request's own instructions."""
    system, prompt, start = ASKS[name]
    found = answers.answer(system, prompt)
    assert found.startswith(start) or start in found.split("\n", 1)[-1][:60], found


def test_code_in_a_fence_names_its_language() -> None:
    found = answers.answer("", "Write a Python function")
    code = re.search(r"```python\n(.*)```", found, re.S)
    assert code and compile(code[1], "answer", "exec")


def test_drawings_are_xml() -> None:
    import xml.etree.ElementTree as ElementTree

    drawn = answers.answer('<artifact type="image/svg+xml" title="">…</artifact>', "a <red> fox")
    svg = re.sub(r"</?artifact[^>]*>", "", drawn)
    assert ElementTree.fromstring(svg.strip())[0].text == "a <red> fox"


def test_json_fits_its_schema() -> None:
    """Every required key with a value of its type; an enum's first value; one element of an array."""
    schema = {
        "type": "object",
        "properties": {
            "title": {"type": "string"},
            "count": {"type": "integer", "minimum": 3},
            "tags": {"type": "array", "items": {"enum": ["red", "blue"]}},
            "more": {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
        },
    }
    found = json.loads(answers.answer("", "A list", schema))
    assert found == {"title": "A list", "count": 3, "tags": ["red"], "more": True}
    assert json.loads(answers.answer("", "A list", {})) == {"answer": "A list"}


def test_torn_code_keeps_its_wrapper() -> None:
    """The code ends in the middle, whatever it is wrapped in."""
    whole = answers.answer("Respond inside <answer></answer> with SQL.", "All items")
    found = answers.torn(whole)
    assert found.startswith("<answer>\nselect") and found.endswith("</answer>\n") and "order by" not in found
    assert len(answers.torn("export const a = 1;\n")) < 15
