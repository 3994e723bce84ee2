"""Generated apps for `inv init --app`, and what it makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from migration.config import load as configuration
from migration.config.settings import Config
from migration.setup.adoption import adopt
from tests.support import repos

GREET = """\
import { createClient } from "https://esm.sh/@supabase/supabase-js@2";
Deno.serve(async (req) => {
  const { name } = await req.json();
  const key = Deno.env.get("OPENAI_API_KEY");
  const level = Deno.env.get("LEVEL") ?? "info";
  console.log(`Calling OpenAI with gpt-4o-mini for ${name}`);
  const answer = await fetch("https://api.openai.com/v1/chat/completions", {
    method: "POST", body: JSON.stringify({ model: "gpt-4o-mini", messages: [] }),
  });
  return Response.json({ text: `hello ${name}` });
});
"""
MOVED = """\
import { createClient } from "https://esm.sh/@supabase/supabase-js@2";
import { ask } from "../_shared/claude.ts";
Deno.serve(async (req) => {
  const { name } = await req.json();
  // const off = Deno.env.get("COMMENTED_OUT");
  return Response.json({ text: await ask(name) });
});
"""
SHARED = """\
import { track } from "https://deno.land/x/tracker@1.0.0/mod.ts";
export async function ask(name: string) {
  const key = Deno.env.get("ANTHROPIC_API_KEY");
  console.log(`[${crypto.randomUUID()}] Routing to Anthropic`);
  const answer = await fetch("https://api.anthropic.com/v1/messages", {
    body: JSON.stringify({ model: "claude-sonnet-4-5", max_tokens: 10 }),
  });
  const data = await answer.json();
  console.log(`Tokens: in=${data.usage.input_tokens} out=${data.usage.output_tokens}`);
  return `hello ${name}`;
}
"""
PAY = """\
Deno.serve(async () => {
  await fetch("https://api.stripe.com/v1/charges", { headers: { a: Deno.env.get("STRIPE_SECRET_KEY")! } });
  return new Response("paid");
});
"""
CONFIG = "[functions.pay]\nverify_jwt = false\n"
WHERE = "supabase/functions"
BEFORE = {
    f"{WHERE}/greet/index.ts": GREET,
    f"{WHERE}/pay/index.ts": PAY,
    "supabase/config.toml": CONFIG,
    "README.md": "x",
}
AFTER = {f"{WHERE}/greet/index.ts": MOVED, f"{WHERE}/_shared/claude.ts": SHARED}


def app(folder: Path, *commits: Mapping[str, str], prefix: str = "") -> Path:
    """A repository with these commits on main; without any, the move of `greet` from one provider to another."""
    folder.mkdir(parents=True)
    repos.git(folder, "init", "--quiet", "--initial-branch=main")
    for number, files in enumerate(commits or (BEFORE, AFTER)):
        repos.commit(folder, {prefix + name: text for name, text in files.items()}, f"Change {number}")
    return folder / prefix if prefix else folder


def run(
    root: Path, app: Path | str = "", plan: Path | str = "", span: str = "", reach: bool = True
) -> adopt.AdoptionResult:
    """Type `inv init` without a terminal; no address is asked."""
    root.mkdir(parents=True, exist_ok=True)
    return adopt.run(root, adopt.Options(str(app), str(plan), span), reach=lambda _: reach)


def config(root: Path) -> Config:
    """What was written, as every verb loads it."""
    return configuration.load(root)
