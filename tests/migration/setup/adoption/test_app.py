"""`inv init --app`: what an app's folder and history say becomes a config.yaml that loads."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from migration.base.errors import Refused
from migration.setup.adoption import adopt, code, imports, lines, wanted
from migration.setup.adoption import app as apps
from tests.support import adopted, project, repos
from tests.support.adopted import AFTER, BEFORE, GREET, PAY, SHARED, WHERE
from tests.support.runtime import shared


def test_facts_of_an_app(tmp_path: Path) -> None:
    """Functions by their module graphs, the range and its base, providers, secrets, signals and hosts."""
    app = adopted.app(tmp_path / "app")
    done = adopted.run(tmp_path / "root", app)
    config = adopted.config(tmp_path / "root")
    assert done.written == ("config.yaml",)
    assert (config.migration.functions, config.migration.unchanged) == (["greet"], ["pay"])
    assert config.app.base == repos.git(app, "rev-parse", "HEAD^")
    assert (config.folder / config.app.path).resolve() == app.resolve()
    assert (config.migration.from_, config.migration.to) == ("openai", "anthropic")
    assert {name: each.model for name, each in config.providers.items()} == {
        "openai": "gpt-4o-mini", "anthropic": "claude-sonnet-4-5",
    }  # fmt: skip
    assert {name: each.provider for name, each in config.secrets.items()} == {"ANTHROPIC_API_KEY": "anthropic"}
    assert config.signals["new_route"].pattern == "Routing to Anthropic"
    assert config.signals["old_route"].pattern == "Calling OpenAI with gpt-4o-mini for"
    assert config.rehearsal.hosts == {"api.stripe.com": {"answers": []}}
    assert set(config.criteria.named) == {"no_503", "no_errors_in_logs", "unchanged"}
    assert config.rehearsal.variables == {"STRIPE_SECRET_KEY": "stand-in"}
    assert any("anyone may call: pay" in notice for notice in done.notices)
    assert {"smoke", "environments.prod.project_ref"} <= {each.split(": ")[0] for each in done.unknown}


def test_each_value_has_its_origin(tmp_path: Path) -> None:
    adopted.run(tmp_path / "root", adopted.app(tmp_path / "app"))
    text = (tmp_path / "root" / "config.yaml").read_text()
    for line in (
        "functions: [greet] # changed in ",
        f"kind: anthropic # called in {WHERE}/_shared/claude.ts:5",
        f"new_route: Routing to Anthropic # logged in {WHERE}/_shared/claude.ts:4",
        "# ? smoke: which request shows that greet works?",
        "#   - {name: greet, function: greet, body: {name: …}, expect: {status: 200}}",
    ):
        assert line in text, line


def test_usage_from_a_logged_line(tmp_path: Path) -> None:
    """The pattern made of the code matches what the code logs, tokens in their groups."""
    from migration.config import signals

    adopted.run(tmp_path / "root", adopted.app(tmp_path / "app"))
    usage = signals.named(adopted.config(tmp_path / "root"))["usage"]
    assert usage.groups("Tokens: in=12 out=345") == {"input": "12", "output": "345", "total": "", "cost": ""}


@pytest.mark.parametrize(
    ("text", "others", "found"),
    [
        ("Routing to Anthropic", {"Calling OpenAI"}, "Routing to Anthropic"),
        ("Asking ${MODEL} of Gemini", {"Asking gpt-4o"}, "of Gemini"),
        ("Translating with ${MODEL} of Gemini", {"Translating with gpt-4o"}, "Translating with .* of Gemini"),
        ("Using a model", {"Using a model"}, ""),
    ],
)
def test_route_that_the_other_code_does_not_log(text: str, others: set[str], found: str) -> None:
    """The shortest of its patterns that tells the new code from the old."""
    assert lines.distinct(text, others) == found


def test_names_of_a_query() -> None:
    """Each once, in the order of the code."""
    text = """const at = new URL(req.url).searchParams; at.get("x");
    const about = url.searchParams.get("about") ?? url.searchParams.get('about'), n = q.searchParams . get(`page`);"""
    assert wanted.query_names(text) == ["about", "page"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("const { prompt, style = 'a, b' } = await req.json();", ["prompt"]),
        ("const { a = 1, b: c = 2 } = (await request.json()) as X", ["a", "b"]),
        ("const sent = await req.json();\nconst { messages, model = 'x', ...rest } = sent;", ["messages"]),
        (
            "const sent: Body = await c.req.json(); if (!sent.text) no(); sent.items?.map(f); sent.text",
            ["text", "items"],
        ),
        ("const data = await response.json(); data.choices", []),
    ],
)
def test_names_of_a_body(text: str, names: list[str]) -> None:
    """What a request must hold, taken out at once or by way of a variable; not what a provider answered."""
    assert wanted.body_names(text) == names


def test_packages_of_specifiers() -> None:
    """A package behind a mirror of npm is the same package."""
    written = ("npm:openai@4", "https://esm.sh/stripe@12.0.0?target=deno", "@ai-sdk/openai", "./stripe.ts",
               "https://deno.land/std@0.168.0/http/server.ts", "node:fs")  # fmt: skip
    assert [imports.package(each) for each in written] == ["openai", "stripe", "@ai-sdk/openai", "", "", ""]


def test_usage_names_the_model(tmp_path: Path) -> None:
    """A hole of that name becomes the group by which costs are told apart."""
    from migration.config import signals

    shared = SHARED.replace("`Tokens: in=", "`Usage ${data.model}: in=")
    adopted.run(
        tmp_path / "root", adopted.app(tmp_path / "app", BEFORE, {**AFTER, f"{WHERE}/_shared/claude.ts": shared})
    )
    usage = signals.named(adopted.config(tmp_path / "root"))["usage"]
    groups = usage.groups("Usage claude-sonnet-4-5: in=12 out=345") or {}
    assert (groups["model"], groups["input"], groups["output"]) == ("claude-sonnet-4-5", "12", "345")


def test_monorepo_and_range(tmp_path: Path) -> None:
    """The app is found below the folder that was named, and --range says which commits are meant."""
    app = adopted.app(tmp_path / "mono", BEFORE, AFTER, {f"{WHERE}/pay/index.ts": PAY + "\n"}, prefix="apps/api/")
    base = repos.git(app, "rev-parse", "HEAD~2")
    adopted.run(tmp_path / "root", tmp_path / "mono", span=f"{base[:10]}..HEAD~1")
    config = adopted.config(tmp_path / "root")
    assert (config.app.path, config.app.base, config.migration.functions) == ("../mono/apps/api", base, ["greet"])
    with pytest.raises(Refused, match="has no nowhere"):
        adopted.run(tmp_path / "other", tmp_path / "mono", span="nowhere..HEAD")
    with pytest.raises(Refused, match=r"is not A\.\.B"):
        adopted.run(tmp_path / "other", tmp_path / "mono", span="HEAD")
    assert not (tmp_path / "other" / "config.yaml").exists()


def test_base_looks_past_words(tmp_path: Path) -> None:
    """A commit of a README or a test beside the code changes no function; one of a shared file elsewhere does."""
    notes = {f"{WHERE}/greet/README.md": "x\n", f"{WHERE}/greet/index.test.ts": "x\n", f"{WHERE}/.DS_Store": "x"}
    app = adopted.app(tmp_path / "app", BEFORE, AFTER, notes)
    adopted.run(tmp_path / "root", app)
    config = adopted.config(tmp_path / "root")
    assert (config.app.base, config.migration.functions) == (repos.git(app, "rev-parse", "HEAD~2"), ["greet"])
    outside = {
        "lib/words.ts": "export const hello = 1;\n",
        f"{WHERE}/pay/index.ts": f'import "../../../lib/words.ts";\n{PAY}',
    }
    app = adopted.app(tmp_path / "other", {**BEFORE, **outside}, {"lib/words.ts": "export const hello = 2;\n"})
    adopted.run(tmp_path / "second", app)
    config = adopted.config(tmp_path / "second")
    assert (config.app.base, config.migration.functions) == (repos.git(app, "rev-parse", "HEAD^"), ["pay"])


def test_project_that_the_app_names(tmp_path: Path) -> None:
    """The only one is taken, with its place; of several the question names each; a placeholder is none."""
    one = {
        "src/client.ts": 'createClient("https://qmzwxkcvbnrtyplkjhgf.supabase.co", key)',
        "x.md": "a" * 20 + ".supabase.co",
    }
    adopted.run(tmp_path / "root", adopted.app(tmp_path / "app", BEFORE, {**AFTER, **one}))
    text = (tmp_path / "root" / "config.yaml").read_text()
    assert "project_ref: qmzwxkcvbnrtyplkjhgf # the one project that the app names: src/client.ts:1" in text
    two = {**one, "supabase/config.toml": 'project_id = "hgfedcbaqwertzuiopla"\n'}
    done = adopted.run(tmp_path / "second", adopted.app(tmp_path / "other", BEFORE, {**AFTER, **two}))
    assert any("hgfedcbaqwertzuiopla (supabase/config.toml:1)" in each for each in done.unknown)


def test_branch_of_its_own(tmp_path: Path) -> None:
    """On a branch, the range is all since it left main; deploys come from main."""
    app = adopted.app(tmp_path / "app", BEFORE)
    base = repos.git(app, "rev-parse", "HEAD")
    repos.git(app, "checkout", "--quiet", "-b", "move")
    repos.commit(app, AFTER)
    repos.commit(app, {"docs.md": "x"})
    done = adopted.run(tmp_path / "root", app)
    config = adopted.config(tmp_path / "root")
    assert (config.app.base, config.app.branch, config.migration.functions) == (base, "main", ["greet"])
    assert any("move is checked out" in notice for notice in done.notices)


def test_one_commit_only(tmp_path: Path) -> None:
    """Without a change to find, every function moves, and which revision was before is a question."""
    done = adopted.run(tmp_path / "root", adopted.app(tmp_path / "app", BEFORE))
    config = adopted.config(tmp_path / "root")
    assert (config.migration.functions, config.app.base) == (["greet", "pay"], None)
    assert "app.base" in {each.split(": ")[0] for each in done.unknown}


def test_out_of_reach_imports(tmp_path: Path) -> None:
    """npm stands in where it has the package; else a skeleton with the names that are imported, one line each."""
    root = tmp_path / "root"
    app = adopted.app(tmp_path / "app")
    root.mkdir()
    from migration.setup.adoption import adopt

    done = adopt.run(root, adopt.Options(str(app)), reach=lambda address: address.startswith("npm:"))
    assert set(done.written) == {"config.yaml", "stubs/import_map.json", "stubs/deno-land-x-tracker-1-0-0-mod-ts.ts"}
    assert adopted.config(root).rehearsal.import_map == "stubs/import_map.json"
    assert yaml.safe_load((root / "stubs" / "import_map.json").read_text()) == {
        "imports": {
            "https://esm.sh/@supabase/supabase-js@2": "npm:@supabase/supabase-js@2",
            "https://deno.land/x/tracker@1.0.0/mod.ts": "./deno-land-x-tracker-1-0-0-mod-ts.ts",
        }
    }
    assert "export const track = nothing;" in (root / done.written[-1]).read_text()
    assert "fill in stubs/deno-land-x-tracker-1-0-0-mod-ts.ts" in (root / "config.yaml").read_text()


def test_what_a_person_wrote_stays(tmp_path: Path) -> None:
    """A second run writes nothing and shows what the file lacks; filled stubs stay as well."""
    root, app = tmp_path / "root", adopted.app(tmp_path / "app")
    adopted.run(root, app)
    text = (root / "config.yaml").read_text()
    assert adopted.run(root, app).adds == ""
    own = text.replace("  old_route: Calling OpenAI with gpt-4o-mini for", "  # mine:").replace(
        "name: app", "name: mine"
    )
    (root / "config.yaml").write_text(own)
    again = adopted.run(root, app)
    assert (again.written, (root / "config.yaml").read_text()) == ((), own)
    assert again.adds.splitlines()[:2] == ["signals:", again.adds.splitlines()[1]]
    assert "old_route: Calling OpenAI with gpt-4o-mini for" in again.adds and "name:" not in again.adds


def test_sample_config_makes_room(tmp_path: Path) -> None:
    """The shipped file, which is about the sample app, is kept under another name."""
    root = tmp_path / "root"
    root.mkdir()
    from migration.context import SAMPLE

    environments = "environments: {sandbox: {embedded: true}}"
    shipped = f"migration: {{name: m, functions: [a]}}\napp: {{path: {SAMPLE}}}\n{environments}\n"
    (root / "config.yaml").write_text(shipped)
    done = adopted.run(root, adopted.app(tmp_path / "app"))
    assert done.written[:2] == ("config.sample.yaml", "config.yaml")
    assert (root / "config.sample.yaml").read_text() == shipped
    assert adopted.config(root).migration.functions == ["greet"]


def test_reason_of_several_functions(tmp_path: Path) -> None:
    """One line for what is wrong with all of them: a monorepo's package beside the app is not uploaded."""
    files = {f"apps/api/{WHERE}/{name}/index.ts": 'import "../../../../../libs/a.ts";\n' for name in ("one", "two")}
    app = adopted.app(tmp_path / "app", {**files, "libs/a.ts": ""}, {"libs/a.ts": "export {};\n"})
    with pytest.raises(Refused) as refused:
        adopted.run(tmp_path / "root", app)
    assert refused.value.message.splitlines()[1:] == [
        f"  one, two: {app}/libs/a.ts lies outside the app, the folder that holds supabase/: "
        "only files in it are uploaded."
    ]


def test_broken_function_left_out(tmp_path: Path) -> None:
    """What cannot be deployed as it stands is named with its reason, and the rest goes on."""
    files = {**BEFORE, f"{WHERE}/torn/index.ts": 'import "./gone.ts";\n'}
    done = adopted.run(tmp_path / "root", adopted.app(tmp_path / "app", files, AFTER))
    assert any("torn is left out" in notice and "gone.ts does not exist" in notice for notice in done.notices)
    assert adopted.config(tmp_path / "root").migration.unchanged == ["pay"]


def test_folder_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database's volume, or a folder that went while it was looked for: the app beside it is found."""
    (tmp_path / "a" / "volume").mkdir(parents=True)
    (tmp_path / "b" / "supabase" / "functions" / "x").mkdir(parents=True)
    scan = os.scandir

    def denied(path: Path) -> Any:
        if Path(path).name == "volume":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", denied)
    assert apps.locate(tmp_path) == [tmp_path / "b"]


def test_no_app_there(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path, words in ((tmp_path / "empty", "no supabase/functions"), (tmp_path / "none", "not a folder")):
        with pytest.raises(Refused, match=words):
            adopted.run(tmp_path / "root", path)


def test_nothing_deployable(tmp_path: Path) -> None:
    """Where no function can be deployed as it stands there is nothing to adopt: each reason, and no file."""
    app = adopted.app(tmp_path / "app", {f"{WHERE}/torn/index.ts": 'import "@/lib/logger";\n'})
    with pytest.raises(Refused, match="no import map") as caught:
        adopted.run(tmp_path / "root", app)
    assert "can be deployed as it stands" in str(caught.value)
    assert not (tmp_path / "root" / "config.yaml").exists()


def test_merge_that_brought_all(tmp_path: Path) -> None:
    """The base is then found among the commits that were merged."""
    app = adopted.app(tmp_path / "app", {"README.md": "x"})
    repos.git(app, "checkout", "--quiet", "-b", "work")
    base = repos.commit(app, BEFORE)
    repos.commit(app, AFTER)
    repos.git(app, "checkout", "--quiet", "main")
    repos.git(app, "merge", "--quiet", "--no-ff", "work", "-m", "Merge")
    repos.git(app, "branch", "--quiet", "-D", "work")
    adopted.run(tmp_path / "root", app)
    assert adopted.config(tmp_path / "root").app.base == base


@pytest.mark.parametrize(
    ("line", "needed"),
    [
        ("const a = Deno.env.get('NAME_A')!;", True),
        ('const a = Deno.env.get("NAME_A") ?? "";', True),
        ("const a = process.env.NAME_A || 'usual';", False),
        ('const a = Deno.env.get("NAME_A") ?? "usual";', False),
    ],
)
def test_variable_with_a_value_of_its_own(line: str, needed: bool) -> None:
    """An empty text is no value: the function still needs the variable."""
    assert [each.optional for each in code.variables("a.ts", line)] == [not needed]


def test_keys_with_a_number(tmp_path: Path) -> None:
    """Names that the code computes are keys of the provider that they name, for the sandbox alone."""
    pool = "const key = Deno.env.get(`GEMINI_KEY_${turn}`);\n" + PAY
    adopted.run(tmp_path / "root", adopted.app(tmp_path / "app", {**BEFORE, f"{WHERE}/pay/index.ts": pool}, AFTER))
    keys = adopted.config(tmp_path / "root").rehearsal.keys
    assert keys["gemini"][:2] == ["GEMINI_KEY_1", "GEMINI_KEY_2"]
    assert keys["openai"] == ["OPENAI_API_KEY"], "the code before reads it, and a rehearsal runs that too"


@pytest.mark.parametrize(
    ("address", "package"),
    [
        ("https://esm.sh/stripe@10.13.0?target=deno&no-check", "npm:stripe@10.13.0"),
        ("https://esm.sh/v132/@types/mdast@4.0.0/index.d.ts", "npm:@types/mdast@4.0.0"),
        ("https://cdn.jsdelivr.net/npm/openai@4/+esm", "npm:openai@4/+esm"),
        ("jsr:@supabase/supabase-js@2", "npm:@supabase/supabase-js@2"),
        ("jsr:@std/encoding", ""),
        ("https://deno.land/x/oak@v12.0.0/mod.ts", ""),
        ("https://esm.sh/gh/someone/thing@1", ""),
    ],
)
def test_same_package_on_npm(address: str, package: str) -> None:
    """Only where the address itself says which package of npm it serves."""
    assert imports.npm(address) == package


def test_host_of_a_package(tmp_path: Path) -> None:
    """A package that calls one host of its own is as good as the host."""
    stripe = 'import Stripe from "npm:stripe@17";\nDeno.serve(() => new Response(String(Stripe)));\n'
    adopted.run(tmp_path / "root", adopted.app(tmp_path / "app", {f"{WHERE}/pay/index.ts": stripe}))
    assert "api.stripe.com" in adopted.config(tmp_path / "root").rehearsal.hosts


def test_typed_without_a_terminal(tmp_path: Path) -> None:
    """As a user types it: one JSON object that fits its schema, nothing asked, and a config that loads."""
    typed = project.copy(tmp_path / "project")
    plain = {name: text.split("\n", 1)[1] if "import" in text[:7] else text for name, text in BEFORE.items()}
    app = adopted.app(tmp_path / "app", plain, {f"{WHERE}/pay/index.ts": PAY + "\n"})
    done = typed.inv("init", "--app", str(app), "--json")
    assert done.code == 0, done.err
    assert done.json["written"] == ["config.sample.yaml", "config.yaml"]
    assert any(each.startswith("smoke: ") for each in done.json["unknown"])
    assert adopted.config(typed.folder).migration.functions == ["pay"]


@pytest.mark.long
def test_rehearsed_as_written(tmp_path: Path) -> None:
    """The generated config goes through a whole rehearsal without a change."""
    from migration.base.progress import Observer
    from migration.rehearsal import rehearse

    first = GREET.replace('import { createClient } from "https://esm.sh/@supabase/supabase-js@2";\n', "")
    app = adopted.app(tmp_path / "app", {**BEFORE, f"{WHERE}/greet/index.ts": first}, AFTER)
    adopted.run(tmp_path / "root", app, reach=False)
    shared(tmp_path / "root")
    result = rehearse.run(tmp_path / "root", Observer())
    assert [(phase.name, phase.evidence) for phase in result.phases if not phase.ok] == []


def test_asks_only_for_what_is_written(tmp_path: Path) -> None:
    """A mistyped project ref is asked for again, by its own words; a config that stays as it is asks nothing."""
    app = adopted.app(tmp_path / "app", BEFORE, AFTER)
    answers, asked = ["my-project", "a" * 20], []

    def ask(question: str) -> str:
        asked.append(question)
        return answers.pop(0)

    (tmp_path / "root").mkdir()
    options = adopt.Options(str(app))
    assert adopt.run(tmp_path / "root", options, lambda _: True, ask).written == ("config.yaml",)
    assert "my-project: should be the twenty lower-case letters" in asked[1]
    assert adopted.config(tmp_path / "root").environments["prod"].project_ref == "a" * 20
    assert adopt.run(tmp_path / "root", options, lambda _: True, ask).written == () and len(asked) == 2


def test_three_wrong_answers_stay_a_question(tmp_path: Path) -> None:
    app = adopted.app(tmp_path / "app", BEFORE, AFTER)
    (tmp_path / "root").mkdir()
    done = adopt.run(tmp_path / "root", adopt.Options(str(app)), lambda _: True, lambda _: "no such")
    assert done.written and any("project_ref" in each for each in done.unknown)
