"""The section e2e: what is wrong in it is said at its place, before any browser starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from migration.base.errors import ConfigError
from migration.config import load
from migration.config.browser import E2e


def section(tmp_path: Path, steps: str, more: str = "") -> E2e:
    file = tmp_path / "config.yaml"
    head = "migration: {name: m, functions: [a]}\napp: {path: app}\nenvironments: {local: {url: http://localhost}}\n"
    file.write_text(f"{head}{more}e2e:\n  steps:\n    - {steps}\n")
    found = load.load(tmp_path).e2e
    assert found
    return found


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("{name: nothing}", "e2e.steps.0: needs exactly one of goto, sign_in, .*; it has none"),
        ("{goto: /, click: Go}", "e2e.steps.0: needs exactly one of .*; it has goto and click"),
        ("{click: {role: button, text: Go}}", "e2e.steps.0.click: has role and text: one of them says where to look"),
        ("{click: {name: Go}}", "e2e.steps.0.click: name goes with role"),
        ("{click: {}}", "e2e.steps.0.click: needs one of role, text"),
        ("{click: {role: knob}}", "e2e.steps.0.click.role: should be one of alert"),
        ("{fill: {label: Name}}", "e2e.steps.0.fill: needs value, or secret"),
        ("{fill: {label: Name, value: a, secret: b}}", "e2e.steps.0.fill: needs value, or secret"),
        ("{upload: {label: Photo}}", "e2e.steps.0.upload: needs file: a path relative to the folder of config.yaml"),
        ("{upload: {file: a.png}}", "e2e.steps.0.upload: needs one of role, text"),
        ("{expect: {text: Gone, absent: true, count: 2}}", "e2e.steps.0.expect: absent cannot be combined"),
        ("{expect: {}}", "e2e.steps.0.expect: needs one of role"),
        ("{screenshot: ../x}", "e2e.steps.0.screenshot.called: should be letters"),
        ("{screenshot: {called: b, differs_from: a}}", "e2e: step 1 compares with the screenshot a"),
        ("{wait: soon}", "e2e.steps.0.wait"),
        ("{click: Go, costs: -1}", "e2e.steps.0.costs"),
    ],
)
def test_mistake_is_named_at_its_place(tmp_path: Path, step: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        section(tmp_path, step)


def test_short_forms(tmp_path: Path) -> None:
    """A plain text is a text to look for, a key, a duration, a script or the name of a picture."""
    steps = "\n    - ".join(
        ["click: Go", "press: Enter", "wait: 2s", "evaluate: 1 + 1", "screenshot: one", "expect: Hi"]
    )
    click, press, wait, evaluate, shot, expect = section(tmp_path, steps).steps
    assert click.click and click.click.text == "Go" and press.press and press.press.key == "Enter"
    assert wait.wait and wait.wait.seconds == 2 and evaluate.evaluate and evaluate.evaluate.script == "1 + 1"
    assert shot.screenshot and shot.screenshot.called == "one" and expect.expect and expect.expect.text == "Hi"


def test_steps_in_words(tmp_path: Path) -> None:
    """What a step is called where it has no name."""
    steps = "\n    - ".join([
        "click: {role: button, name: Send, frame: Artifact}", "fill: {label: Name, value: x}",
        "expect: {text: Error, absent: true}", "click: {role: link, nth: 1}",
        "upload: {label: Photo, file: data/cat.png}", "upload: {role: button, name: Add, file: [a.txt, b/c.txt]}",
    ])  # fmt: skip
    assert [str(step) for step in section(tmp_path, steps).steps] == [
        'click the button "Send" in the frame "Artifact"', 'fill the field "Name"', 'expect no text "Error"',
        "click the link number 2", 'upload cat.png to the field "Photo"', 'upload a.txt and c.txt to the button "Add"',
    ]  # fmt: skip


def test_secret_is_hidden(tmp_path: Path) -> None:
    step = section(tmp_path, "fill: {label: Card, secret: 42424242-x}").steps[0]
    assert step.types_secret and "42424242-x" not in repr(step)


def test_gate_in_the_browser_needs_steps(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("migration: {name: m, functions: [a]}\napp: {path: app}\n"
                    "environments: {local: {url: http://localhost}}\ngate: {e2e: true}\n")  # fmt: skip
    with pytest.raises(ConfigError, match=r"gate\.e2e: needs steps: add the section e2e"):
        load.load(tmp_path)


def test_page_of_an_unknown_environment(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"e2e\.url\.prod: there is no environment prod"):
        section(tmp_path, "goto: /\n  url: {prod: https://a.example}")
