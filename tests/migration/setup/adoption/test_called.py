"""The providers that functions call: known ones, and any service that speaks OpenAI's API at an address of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from migration.setup.adoption import code, gateways
from tests.support import adopted, repos
from tests.support.adopted import WHERE

FETCHED = """\
Deno.serve(async (req) => {
  const { text } = await req.json();
  const key = Deno.env.get("%s_API_KEY");
  const answer = await fetch("%s/chat/completions", {
    headers: { Authorization: `Bearer ${key}`, "HTTP-Referer": "https://shop.dev" },
    body: JSON.stringify({ model: "%s", messages: [] }),
  });
  return Response.json(await answer.json());
});
"""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('fetch("https://api.groq.com/openai/v1/chat/completions")', ["https://api.groq.com/openai/v1"]),
        ('const BASE = "https://api.x.ai/v1"; fetch(`${BASE}/chat/completions`)', ["https://api.x.ai/v1"]),
        (
            'const AT = Deno.env.get("AT") ?? "https://llm.shop.dev/v1/"; f(AT + "/chat/completions")',
            ["https://llm.shop.dev/v1"],
        ),
        (
            'import OpenAI from "npm:openai@4";\nnew OpenAI({ apiKey, baseURL: "https://api.deepseek.com" })',
            ["https://api.deepseek.com"],
        ),
        ('new Other({ baseURL: "https://elsewhere.dev" })', []),
        ('fetch("https://openrouter.ai/api/v1/chat/completions")', []),
        ('fetch("https://generativelanguage.googleapis.com/v1beta/openai/chat/completions")', []),
    ],
)
def test_addresses_that_speak_openai(text: str, found: list[str]) -> None:
    """Written out, put together, or given to an SDK; not those of the known kinds."""
    assert [base for base, _, _ in gateways.addresses("a.ts", text)] == found


@pytest.mark.parametrize(
    ("address", "name", "variable"),
    [
        ("https://api.groq.com/openai/v1", "groq", "GROQ_API_KEY"),
        ("https://ai.gateway.lovable.dev/v1", "lovable", "LOVABLE_API_KEY"),
        ("https://api.x.ai/v1", "xai", "XAI_API_KEY"),
        ("https://shop.openai.azure.com/openai/v1", "azure", "AZURE_OPENAI_KEY"),
        ("https://proxy.openai.com/v1", "openai-com", "OPENAI_COM_KEY"),
        ("https://llm.shop.dev/v1", "shop", "SHOP_LLM_KEY"),
    ],
)
def test_names_of_providers(address: str, name: str, variable: str) -> None:
    assert gateways.name_of(address) == name
    assert gateways.holds_key(name, variable) and not gateways.holds_key(name, "STRIPE_KEY")


def test_move_between_gateways(tmp_path: Path) -> None:
    """Both ends are providers with address, model and key; neither is a host to be declared."""
    before = FETCHED % ("LOVABLE", "https://ai.gateway.lovable.dev/v1", "google/gemini-3-flash")
    after = FETCHED % ("GROQ", "https://api.groq.com/openai/v1", "llama-3.3-70b-versatile")
    app = adopted.app(tmp_path / "app", {f"{WHERE}/chat/index.ts": before}, {f"{WHERE}/chat/index.ts": after})
    done = adopted.run(tmp_path / "root", app)
    config = adopted.config(tmp_path / "root")
    assert (config.migration.from_, config.migration.to) == ("lovable", "groq")
    assert {name: (each.kind, each.url, each.model) for name, each in config.providers.items()} == {
        "lovable": ("openai", "https://ai.gateway.lovable.dev/v1", "google/gemini-3-flash"),
        "groq": ("openai", "https://api.groq.com/openai/v1", "llama-3.3-70b-versatile"),
    }
    assert {name: each.provider for name, each in config.secrets.items()} == {"GROQ_API_KEY": "groq"}
    assert config.rehearsal.keys == {"openai": ["LOVABLE_API_KEY"]} and not config.rehearsal.hosts
    assert not [each for each in done.unknown if each.startswith("rehearsal.hosts")]


def test_models_by_their_providers(tmp_path: Path) -> None:
    """Each provider gets a model of its own, also from calls of an SDK and behind a variable."""
    shared = """\
    export const STEPS = [{ provider: "gemini", model: "gemini-2.5-flash" }, { model: "gpt-4.1-mini" }];
    const CLAUDE_MODEL = Deno.env.get("CLAUDE_MODEL") ?? "claude-haiku-4-5";
    fetch("https://api.anthropic.com/v1/messages"); fetch("https://api.openai.com/v1/chat/completions");
    fetch("https://openrouter.ai/api/v1/chat/completions"); openrouter.chat("google/gemini-3-pro");
    fetch("https://generativelanguage.googleapis.com/v1beta/models");
    """
    files = {f"{WHERE}/chat/index.ts": f"{shared}\nDeno.serve(() => new Response('1'));"}
    again = {name: text.replace("'1'", "'2'") for name, text in files.items()}
    adopted.run(tmp_path / "root", adopted.app(tmp_path / "app", files, again))
    assert {name: each.model for name, each in adopted.config(tmp_path / "root").providers.items()} == {
        "anthropic": "claude-haiku-4-5", "gemini": "gemini-2.5-flash", "openai": "gpt-4.1-mini",
        "openrouter": "google/gemini-3-pro",
    }  # fmt: skip


def test_lines_put_together() -> None:
    """A log line of several strings and values is one text."""
    text = """
    console.log(`[anthropic] model=${model} ` +
      `tokens_in=${usage.inputTokens} tokens_out=${usage.outputTokens}`);
    console.log("Tokens: " + data.usage.total_tokens + ", " + (a + b));
    console.log(error + 1, "done");
    """
    assert [each.text for each in code.logs("a.ts", text)] == [
        "[anthropic] model=${model} tokens_in=${inputTokens} tokens_out=${outputTokens}",
        "Tokens: ${total_tokens}, ${b}",
        "done",
    ]


@pytest.mark.parametrize(
    ("text", "optional"),
    [
        ('Deno.env.get("X")!', False),
        ('clean(Deno.env.get("X")) ?? "a"', True),
        ('Deno.env.get("X") === "1"', True),
        ('Deno.env.get("X")?.trim().toLowerCase() || "a"', True),
        ('Deno.env.get("X") !== given', False),
        ('Deno.env.get("X") ?? ""', False),
        ('Deno.env.get("X") ?? throwError("X is not set")', False),
        ('Deno.env.get("X") || errors.fail()', False),
        ('Deno.env.get("X") ?? (() => { throw new Error("X") })()', False),
        ('Deno.env.get("X") ?? fallback("a")', True),
        ('Deno.env.get("X") ?? usual("a")', True),
    ],
)
def test_variables_that_may_be_absent(text: str, optional: bool) -> None:
    """The text gives another value, or compares with one; an empty text helps nobody, nor does a call that throws."""
    assert [each.optional for each in code.variables("a.ts", text)] == [optional]


def test_hosts_that_are_not_called() -> None:
    """Links and the address that a request names as its origin."""
    text = """fetch("https://api.resend.com/emails", { headers: { "HTTP-Referer": "https://shop.dev",
      'X-Origin': 'https://shop.dev' } }); const mail = `<a href="https://links.dev"><img src='https://img.dev'>`;"""
    assert [host for host, _, _ in code.hosts("a.ts", text)] == ["api.resend.com"]


def test_base_of_what_can_be_deployed(tmp_path: Path) -> None:
    """The newest commit that changed only a function which cannot be deployed is looked past."""
    words, torn = f"{WHERE}/_shared/words.ts", 'import "../lost.ts";'
    files = {
        f"{WHERE}/chat/index.ts": "Deno.serve(() => new Response('1'));",
        f"{WHERE}/torn/index.ts": torn,
        words: 'import "./gone";',
    }
    moved = {f"{WHERE}/chat/index.ts": "Deno.serve(() => new Response('2'));"}
    later = {f"{WHERE}/torn/index.ts": f"{torn} // again", words: 'import "./gone2";'}
    app = adopted.app(tmp_path / "app", files, moved, later)
    adopted.run(tmp_path / "root", app)
    config = adopted.config(tmp_path / "root")
    assert config.migration.functions == ["chat"]
    assert config.app.base == repos.git(app, "rev-parse", "HEAD~2")
