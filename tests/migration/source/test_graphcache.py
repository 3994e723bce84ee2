"""A graph that is known from before is the graph that Deno would give."""

from __future__ import annotations

from pathlib import Path

import pytest

from migration.source import graph, graphcache


def _write(app: Path, **files: str) -> Path:
    app.mkdir(exist_ok=True)
    for name, text in files.items():
        (app / name).write_text(text)
    return app / "index.ts"


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The entrypoints that Deno was asked about; Deno itself runs."""
    asked: list[Path] = []
    real = graph.resolve

    def counted(entrypoint: Path, *rest: object) -> graph.Graph:
        asked.append(entrypoint)
        return real(entrypoint, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(graph, "resolve", counted)
    return asked


def test_the_same_text_is_resolved_once_wherever_it_lies(tmp_path: Path, runs: list[Path]) -> None:
    files = {"index.ts": 'import "./a.ts";', "a.ts": "export {}"}
    one, two = _write(tmp_path / "one", **files), _write(tmp_path / "two", **files)
    first = graphcache.resolve(one, one.parent, None, tmp_path / "state")
    second = graphcache.resolve(two, two.parent, None, tmp_path / "state")
    assert len(runs) == 1
    assert [path.name for path in second.files] == [path.name for path in first.files]
    assert second.files[0] == two


def test_a_change_anywhere_in_the_graph_is_seen(tmp_path: Path, runs: list[Path]) -> None:
    entry = _write(tmp_path / "app", **{"index.ts": 'import "./a.ts";', "a.ts": "export {}"})
    graphcache.resolve(entry, entry.parent, None, tmp_path / "state")
    _write(tmp_path / "app", **{"a.ts": 'import "./b.ts";', "b.ts": ""})
    found = graphcache.resolve(entry, entry.parent, None, tmp_path / "state")
    assert {path.name for path in found.files} == {"index.ts", "a.ts", "b.ts"}
    assert len(runs) == 2


@pytest.mark.parametrize("text", ['import "./gone.ts";', "await import(`./x/${name}.ts`);"])
def test_graphs_that_may_change_without_their_text_are_not_kept(text: str, tmp_path: Path, runs: list[Path]) -> None:
    entry = _write(tmp_path / "app", **{"index.ts": text})
    for _ in range(2):
        graphcache.resolve(entry, entry.parent, None, tmp_path / "state")
    assert len(runs) == 2


def test_a_file_that_is_gone_makes_the_kept_graph_worthless(tmp_path: Path) -> None:
    entry = _write(tmp_path / "app", **{"index.ts": 'import "./a.ts";', "a.ts": ""})
    graphcache.resolve(entry, entry.parent, None, tmp_path / "state")
    (tmp_path / "app/a.ts").unlink()
    assert graphcache.resolve(entry, entry.parent, None, tmp_path / "state").problems
