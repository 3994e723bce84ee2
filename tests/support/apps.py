"""Five apps of common layouts, none like the sample: their repositories before and after a migration, and what their
owner answers where `inv init` asks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import repos

F = "supabase/functions"
Files = Mapping[str, str]


@dataclass(frozen=True)
class OwnApp:
    """`before` and `after`: the files of two commits. `answers`: values by the key that `init` asks for. `folder`:
    where the app lies in its repository; a name that begins with / counts from its top."""

    before: Files
    after: Files
    answers: Mapping[str, Any]
    functions: tuple[str, ...]
    folder: str = ""
    providers: tuple[str | None, str | None] = (None, None)

    def make(self, folder: Path) -> Path:
        """A clone with `origin`, as a user has it; returns the folder to name in `--app`."""
        clone = repos.clone(repos.bare(folder / "origin.git"), folder / "checkout")
        for number, files in enumerate((self.before, self.after)):
            put = {
                f"{self.folder}{name}" if not name.startswith("/") else name[1:]: text for name, text in files.items()
            }
            repos.commit(clone, put, ("Start", "Migrate")[number])
        repos.git(clone, "push", "--quiet", "origin", "HEAD:refs/heads/main")
        repos.git(clone, "branch", "--quiet", "--set-upstream-to=origin/main", "main", check=False)
        return clone

    def fill(self, data: dict[str, Any]) -> None:
        """What an owner writes into the file that `init` made."""
        for key, value in self.answers.items():
            place, parts = data, [one or two for one, two in re.findall(r"\[([^\]]+)\]|([^.\[\]]+)", key)]
            for part in parts[:-1]:
                place = place.setdefault(part, {})
            place[parts[-1]] = value


CORS = """\
export const cors = {
  "Access-Control-Allow-Origin": "*",
  "Access-Control-Allow-Headers": "authorization, x-client-info, apikey, content-type",
};
"""

# Old `serve` of the standard library, a package.json at the root for the front end, CORS by hand.

_LEGACY = """\
import { serve } from "https://deno.land/std@0.168.0/http/server.ts";
import { cors } from "../_shared/cors.ts";
%(import)s
serve(async (req) => {
  if (req.method === "OPTIONS") return new Response("ok", { headers: cors });
  const { text } = await req.json();
  if (!text) {
    return new Response(JSON.stringify({ error: "text is missing" }), { status: 400, headers: cors });
  }
  try {
    const summary = await summarize(text);
    return new Response(JSON.stringify({ summary }), { headers: { ...cors, "Content-Type": "application/json" } });
  } catch (error) {
    console.error("summarize failed:", (error as Error).message);
    return new Response(JSON.stringify({ error: "try again" }), { status: 502, headers: cors });
  }
});
"""
LEGACY = OwnApp(
    before={
        "package.json": '{"name": "notes", "private": true, "type": "module", "dependencies": {"react": "^18.2.0"}}\n',
        "src/App.jsx": "export default function App() { return null; }\n",
        "supabase/config.toml": 'project_id = "notes"\n\n[api]\nport = 54321\n\n[functions.ping]\nverify_jwt = false\n',
        f"{F}/_shared/cors.ts": CORS,
        f"{F}/_shared/gemini.ts": """\
export async function summarize(text: string): Promise<string> {
  const key = Deno.env.get("GEMINI_API_KEY");
  console.log("Asking Gemini for a summary");
  const url = `https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-pro:generateContent?key=${key}`;
  const answer = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ contents: [{ role: "user", parts: [{ text: `Summarize: ${text}` }] }] }),
  });
  if (!answer.ok) throw new Error(`Gemini ${answer.status}`);
  const data = await answer.json();
  return data.candidates[0].content.parts[0].text;
}
""",
        f"{F}/summarize/index.ts": _LEGACY % {"import": 'import { summarize } from "../_shared/gemini.ts";\n'},
        f"{F}/ping/index.ts": """\
import { serve } from "https://deno.land/std@0.168.0/http/server.ts";

serve((req) => new Response(JSON.stringify({ pong: new URL(req.url).searchParams.get("n") }), {
  headers: { "Content-Type": "application/json" },
}));
""",
    },
    after={
        f"{F}/_shared/openai.ts": """\
export async function summarize(text: string): Promise<string> {
  const key = Deno.env.get("OPENAI_API_KEY");
  console.log("Asking OpenAI for a summary");
  const answer = await fetch("https://api.openai.com/v1/chat/completions", {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${key}` },
    body: JSON.stringify({ model: "gpt-4o-mini", messages: [{ role: "user", content: `Summarize: ${text}` }] }),
  });
  if (!answer.ok) throw new Error(`OpenAI ${answer.status}`);
  const data = await answer.json();
  const { prompt_tokens, completion_tokens } = data.usage;
  console.log(`OpenAI usage: prompt=${prompt_tokens} completion=${completion_tokens}`);
  return data.choices[0].message.content;
}
""",
        f"{F}/summarize/index.ts": _LEGACY % {"import": 'import { summarize } from "../_shared/openai.ts";\n'},
    },
    functions=("summarize",),
    providers=("gemini", "openai"),
    answers={
        "smoke": [
            {"name": "summary", "function": "summarize", "body": {"text": "A long text"},
             "expect": {"json": {"$.summary": {"type": "string", "length": {"at_least": 1}}}}},
            {"name": "empty", "function": "summarize", "body": {"text": ""}, "expect": {"status": 400}},
            {"name": "ping", "function": "ping", "method": "GET", "auth": "none", "query": {"n": 7},
             "expect": {"json": {"$.pong": "7"}}},
        ],
        "providers.openai.price": {"input": 0.15, "cached_input": 0.075, "output": 0.60},
        "criteria.answers_work": {},
        "criteria.unchanged": {},
        "criteria.cost_per_request": {"mean": 0.005, "max": 0.05},
        "rehearsal.providers": {"gemini": {"pro": {"error_rate": {"503": 0.5}, "even": True, "seed": 3}}},
        "rehearsal.baseline": {"statuses": {"502": [0.2, 0.8]}},
    },
)  # fmt: skip

# deno.json for each function, with imports of npm; the provider is called with fetch. A new function comes along.

_GLOSSARY = """\
import { customAlphabet } from "nanoid";
import { z } from "zod";
import { translate } from "%s";

const Request = z.object({ text: z.string().min(1), to: z.enum(["de", "fr"]) });
const id = customAlphabet("0123456789abcdef", 12);

Deno.serve(async (req: Request_) => {
  const parsed = Request.safeParse(await req.json().catch(() => ({})));
  if (!parsed.success) return Response.json({ error: parsed.error.issues[0].message }, { status: 422 });
  const request = id();
  try {
    const text = await translate(parsed.data.text, parsed.data.to, request);
    return Response.json({ id: request, text }, { headers: { "x-request-id": request } });
  } catch (error) {
    console.error(`[${request}] translation failed`, error);
    return Response.json({ error: "unavailable" }, { status: 503, headers: { "x-request-id": request } });
  }
});
type Request_ = globalThis.Request;
"""
_NPM = '{"imports": {"nanoid": "npm:nanoid@5.0.7", "zod": "npm:zod@3.23.8"}, "compilerOptions": {"strict": true}}\n'
PERFUNCTION = OwnApp(
    before={
        "README.md": "# Translations\n",
        "supabase/config.toml": "[functions.translate]\nimport_map = \"./functions/translate/deno.json\"\n",
        f"{F}/translate/deno.json": _NPM,
        f"{F}/translate/index.ts": _GLOSSARY % "./openai.ts",
        f"{F}/translate/openai.ts": """\
export async function translate(text: string, to: string, request: string): Promise<string> {
  console.info(`[${request}] Translating with gpt-4o`);
  const answer = await fetch("https://api.openai.com/v1/chat/completions", {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${Deno.env.get("OPENAI_API_KEY")}` },
    body: JSON.stringify({ model: "gpt-4o", messages: [{ role: "user", content: `To ${to}: ${text}` }] }),
  });
  if (!answer.ok) throw new Error(`OpenAI answered ${answer.status}`);
  return (await answer.json()).choices[0].message.content;
}
""",
        f"{F}/languages/deno.json": '{"imports": {}}\n',
        f"{F}/languages/index.ts": 'Deno.serve(() => Response.json(["de", "fr"]));\n',
    },
    after={
        f"{F}/translate/index.ts": _GLOSSARY % "./gemini.ts",
        f"{F}/translate/gemini.ts": """\
const MODEL = "gemini-2.5-flash";
export async function translate(text: string, to: string, request: string): Promise<string> {
  console.info(`[${request}] Translating with ${MODEL} of Gemini`);
  const address = `https://generativelanguage.googleapis.com/v1beta/models/${MODEL}:generateContent`;
  const answer = await fetch(address, {
    method: "POST",
    headers: { "content-type": "application/json", "x-goog-api-key": Deno.env.get("GOOGLE_API_KEY")! },
    body: JSON.stringify({ contents: [{ role: "user", parts: [{ text: `To ${to}: ${text}` }] }] }),
  });
  if (!answer.ok) throw new Error(`Gemini answered ${answer.status}`);
  const data = await answer.json();
  console.info(`[${request}] tokens`, {
    input: data.usageMetadata.promptTokenCount,
    output: data.usageMetadata.candidatesTokenCount,
    total: data.usageMetadata.totalTokenCount,
  });
  return data.candidates[0].content.parts[0].text;
}
""",
        f"{F}/detect/deno.json": _NPM,
        f"{F}/detect/index.ts": """\
import { z } from "zod";

Deno.serve(async (req) => {
  const { text } = z.object({ text: z.string() }).parse(await req.json());
  return Response.json({ language: /[äöüß]/.test(text) ? "de" : "en" });
});
""",
    },
    functions=("detect", "translate"),
    providers=("openai", "gemini"),
    answers={
        "smoke": [
            {"name": "translated", "function": "translate", "body": {"text": "Good morning", "to": "de"},
             "expect": {"json": {"$.id": {"type": "string", "length": 12}, "$.text": {"type": "string"}}}},
            {"name": "no-language", "function": "translate", "body": {"text": "x"}, "expect": {"status": 422}},
            {"name": "german", "function": "detect", "body": {"text": "schön"}, "when": "after",
             "expect": {"json": {"$.language": "de"}}},
            {"name": "languages", "function": "languages", "method": "GET", "expect": {"json": {"$": {"length": 2}}}},
        ],
        "providers.gemini.price": {"input": 0.30, "cached_input": 0.075, "output": 2.50},
        "criteria.answers_work": {},
        "criteria.unchanged": {},
        "criteria.success_rate": {"at_least": 0.99, "reject": 0.90},
        "rehearsal.providers": {"openai": {"error_rate": {"429": 0.4}, "seed": 5}},
        "rehearsal.baseline": {"statuses": {"503": [0.1, 0.8]}},
    },
)  # fmt: skip

# A monorepo: import map, a prompt and a page as static files, answers as server-sent events, a package beside the app.

_TELL = """\
import { frame } from "lib/sse.ts";
import { LIMIT } from "../../../lib/limits.ts";
import { stories } from "../_shared/%s.ts";

const prompt = await Deno.readTextFile(new URL("./prompt.md", import.meta.url));

Deno.serve((req) => {
  const about = new URL(req.url).searchParams.get("about")?.slice(0, LIMIT);
  if (!about) return Response.json({ error: "about is missing" }, { status: 400 });
  const body = new ReadableStream({
    async start(controller) {
      try {
        for await (const piece of stories(prompt.replace("{about}", about))) controller.enqueue(frame(piece));
        controller.enqueue(frame("[DONE]"));
      } catch (error) {
        console.error("the story broke off", error);
        controller.enqueue(frame(JSON.stringify({ error: "broken off" })));
      }
      controller.close();
    },
  });
  return new Response(body, { headers: { "content-type": "text/event-stream", "cache-control": "no-cache" } });
});
"""
_PIECES = """\
export async function* pieces(answer: Response): AsyncGenerator<any> {
  let rest = "";
  for await (const text of answer.body!.pipeThrough(new TextDecoderStream())) {
    rest += text;
    const lines = rest.split("\\n");
    rest = lines.pop()!;
    for (const line of lines) {
      if (line.startsWith("data: {")) yield JSON.parse(line.slice(6));
    }
  }
}
"""
MONOREPO = OwnApp(
    folder="apps/edge/",
    before={
        "/package.json": '{"name": "stories", "private": true, "workspaces": ["apps/*", "packages/*"]}\n',
        "lib/limits.ts": "export const LIMIT = 200;\n",
        "/apps/web/index.html": "<!doctype html><title>Stories</title>\n",
        "supabase/config.toml": """\
project_id = "stories"

[functions.tell]
import_map = "./functions/import_map.json"
static_files = ["./functions/tell/*.md"]

[functions.page]
verify_jwt = false
static_files = ["./functions/page/*.html"]
""",
        f"{F}/import_map.json": '{"imports": {"lib/": "./_lib/"}}\n',
        f"{F}/_lib/sse.ts": """\
const encoder = new TextEncoder();
export const frame = (data: string) => encoder.encode(`data: ${data}\\n\\n`);
""",
        f"{F}/_shared/pieces.ts": _PIECES,
        f"{F}/_shared/claude.ts": """\
import { pieces } from "./pieces.ts";

export async function* stories(prompt: string): AsyncGenerator<string> {
  console.log("Streaming from Anthropic, claude-3-5-haiku-latest");
  const answer = await fetch("https://api.anthropic.com/v1/messages", {
    method: "POST",
    headers: { "x-api-key": Deno.env.get("ANTHROPIC_API_KEY")!, "anthropic-version": "2023-06-01" },
    body: JSON.stringify({ model: "claude-3-5-haiku-latest", max_tokens: 500, stream: true,
      messages: [{ role: "user", content: prompt }] }),
  });
  if (!answer.ok) throw new Error(`Anthropic answered ${answer.status}`);
  for await (const event of pieces(answer)) {
    if (event.type === "content_block_delta") yield event.delta.text;
  }
}
""",
        f"{F}/tell/prompt.md": "Tell a short story about {about}.\n",
        f"{F}/tell/index.ts": _TELL % "claude",
        f"{F}/page/about.html": "<!doctype html><title>About</title>\n",
        f"{F}/page/index.ts": """\
const page = await Deno.readTextFile(new URL("./about.html", import.meta.url));

Deno.serve(() => new Response(page, { headers: { "content-type": "text/html; charset=utf-8" } }));
""",
    },
    after={
        f"{F}/_shared/router.ts": """\
import { pieces } from "./pieces.ts";

export async function* stories(prompt: string): AsyncGenerator<string> {
  console.log("Streaming from OpenRouter, mistralai/mistral-small-3.2-24b-instruct");
  const answer = await fetch("https://openrouter.ai/api/v1/chat/completions", {
    method: "POST",
    headers: { Authorization: `Bearer ${Deno.env.get("OPENROUTER_API_KEY")}`, "Content-Type": "application/json" },
    body: JSON.stringify({ model: "mistralai/mistral-small-3.2-24b-instruct", max_tokens: 500, stream: true,
      usage: { include: true }, messages: [{ role: "user", content: prompt }] }),
  });
  if (!answer.ok) throw new Error(`OpenRouter answered ${answer.status}`);
  for await (const part of pieces(answer)) {
    if (part.usage) {
      const { prompt_tokens, completion_tokens, cost } = part.usage;
      console.log(`Story done: ${prompt_tokens} prompt tokens, ${completion_tokens} completion tokens, ${cost} USD`);
    }
    const text = part.choices?.[0]?.delta?.content;
    if (text) yield text;
  }
}
""",
        f"{F}/tell/index.ts": _TELL % "router",
        f"{F}/tell/prompt.md": "Tell a story of three sentences about {about}.\n",
    },
    functions=("tell",),
    providers=("anthropic", "openrouter"),
    answers={
        "smoke": [
            {"name": "story", "function": "tell", "method": "GET", "query": {"about": "a red square"},
             "expect": {"headers": {"content-type": "^text/event-stream"},
                        "stream": {"first_byte": 20, "events": {"at_least": 2}, "last": {"matches": "^.DONE.$$"}}}},
            {"name": "about-nothing", "function": "tell", "method": "GET", "expect": {"status": 400}},
            {"name": "page", "function": "page", "method": "GET", "auth": "none",
             "expect": {"text": "<title>About"}},  # the platform answers HTML as text/plain
        ],
        "providers.openrouter.price": {"input": 0.05, "cached_input": 0.05, "output": 0.10},
        "criteria.answers_work": {},
        "criteria.unchanged": {},
        "criteria.cost_logged": {},
        "rehearsal.providers": {"openrouter": {"latency": [0.05, 0.1]}},
    },
)  # fmt: skip

# Fifty functions, no config.toml, a webhook; no model anywhere: three of them move from one mail service to another.

_CRUD = """\
import { row } from "../_shared/rows.ts";

Deno.serve((req) => Response.json(row("%s", new URL(req.url).pathname)));
"""
_MAILERS = ("invite-member", "reset-password", "weekly-digest")
_MAILER = """\
import { mail } from "../_shared/mail.ts";

Deno.serve(async (req) => {
  const { to } = await req.json();
  if (!to) return Response.json({ error: "to is missing" }, { status: 400 });
  const sent = await mail(to, "%s");
  return Response.json({ sent }, { status: sent ? 200 : 502 });
});
"""
_NAMES = [f"{verb}-{thing}" for verb in ("list", "get", "create", "update", "delete", "export") for thing in (
    "orders", "invoices", "members", "teams", "projects", "tasks", "files", "notes")][:46]  # fmt: skip
FIFTY = OwnApp(
    before={
        f"{F}/_shared/rows.ts": "export const row = (table: string, path: string) => ({ table, path });\n",
        f"{F}/_shared/mail.ts": """\
export async function mail(to: string, template: string): Promise<boolean> {
  console.log(`Sending ${template} through Postmark`);
  const answer = await fetch("https://api.postmarkapp.com/email/withTemplate", {
    method: "POST",
    headers: { "X-Postmark-Server-Token": Deno.env.get("POSTMARK_TOKEN")!, "Content-Type": "application/json" },
    body: JSON.stringify({ To: to, TemplateAlias: template }),
  });
  return answer.ok;
}
""",
        **{f"{F}/{name}/index.ts": _MAILER % name for name in _MAILERS},
        **{f"{F}/{name}/index.ts": _CRUD % name for name in _NAMES},
        f"{F}/stripe-webhook/index.ts": """\
const encoder = new TextEncoder();

Deno.serve(async (req) => {
  const [time, given] = (req.headers.get("stripe-signature") ?? "").split(",").map((part) => part.split("=")[1]);
  const secret = encoder.encode(Deno.env.get("STRIPE_WEBHOOK_SECRET")!);
  const key = await crypto.subtle.importKey("raw", secret, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  const signed = await crypto.subtle.sign("HMAC", key, encoder.encode(`${time}.${await req.text()}`));
  const wanted = [...new Uint8Array(signed)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  if (given !== wanted) return new Response("bad signature", { status: 400 });
  return Response.json({ received: true });
});
""",
    },
    after={
        f"{F}/_shared/mail.ts": """\
export async function mail(to: string, template: string): Promise<boolean> {
  console.log(`Sending ${template} through Resend`);
  const answer = await fetch("https://api.resend.com/emails", {
    method: "POST",
    headers: { Authorization: `Bearer ${Deno.env.get("RESEND_API_KEY")}`, "Content-Type": "application/json" },
    body: JSON.stringify({ from: "team@example.com", to, subject: template, html: `<p>${template}</p>` }),
  });
  return answer.ok;
}
""",
    },
    functions=_MAILERS,
    answers={
        "smoke": [
            *({"name": name, "function": name, "body": {"to": "someone@example.com"},
               "expect": {"json": {"$.sent": True}}} for name in _MAILERS),
            {"name": "strangers", "function": "stripe-webhook", "headers": {"stripe-signature": "t=1,v1=0"},
             "body": "{}", "expect": {"status": 400, "text": "bad signature"}},
            {"name": "orders", "function": "list-orders", "method": "GET", "path": "/2026/11",
             "expect": {"json": {"$.table": "list-orders", "$.path": {"matches": "/2026/11$$"}}}},
        ],
        "criteria.answers_work": {},
        "criteria.response_time": {"p95": 8},
        "rehearsal.hosts[api.resend.com].answers": [{"method": "POST", "path": "/emails", "json": {"id": "email_1"}}],
        "rehearsal.hosts[api.postmarkapp.com]": {
            "answers": [{"method": "POST", "path": "/email/*", "json": {"ErrorCode": 0}}],
            "error_rate": {"500": 0.3}, "seed": 2,
        },
        "rehearsal.baseline": {"statuses": {"502": [0.05, 0.7]}},
    },
)  # fmt: skip

# From OpenAI to Anthropic, with tools and with JSON that a schema demands.

_EXTRACT = """\
import { extract } from "../_shared/model.ts";

Deno.serve(async (req) => {
  const { text } = await req.json();
  const found = await extract(text);
  return Response.json(found, { status: found ? 200 : 502 });
});
"""
_ASSIST = """\
import { ask } from "../_shared/model.ts";

const tools = { weather: ({ city }: { city: string }) => ({ city, degrees: 21 }) };

Deno.serve(async (req) => {
  const { question } = await req.json();
  const call = await ask(question);
  if (!call) return Response.json({ error: "no tool was chosen" }, { status: 502 });
  return Response.json({ tool: call.name, result: tools[call.name as keyof typeof tools](call.input) });
});
"""
TOOLS = OwnApp(
    before={
        f"{F}/_shared/model.ts": """\
const URL_ = "https://api.openai.com/v1/chat/completions";

async function chat(body: Record<string, unknown>) {
  console.log("Model call: openai gpt-4.1-mini");
  const answer = await fetch(URL_, {
    method: "POST",
    headers: { Authorization: `Bearer ${Deno.env.get("OPENAI_API_KEY")}`, "Content-Type": "application/json" },
    body: JSON.stringify({ model: "gpt-4.1-mini", ...body }),
  });
  return answer.ok ? (await answer.json()).choices[0].message : null;
}

export async function extract(text: string) {
  const messages = [{ role: "user", content: `As JSON: ${text}` }];
  const message = await chat({ response_format: { type: "json_object" }, messages });
  return message && JSON.parse(message.content);
}

export async function ask(question: string): Promise<{ name: string; input: any } | null> {
  const message = await chat({
    messages: [{ role: "user", content: question }],
    tools: [{ type: "function", function: { name: "weather", parameters: { type: "object" } } }],
  });
  const call = message?.tool_calls?.[0]?.function;
  return call ? { name: call.name, input: JSON.parse(call.arguments) } : null;
}
""",
        f"{F}/extract/index.ts": _EXTRACT,
        f"{F}/assist/index.ts": _ASSIST,
    },
    after={
        f"{F}/_shared/model.ts": """\
const TOOLS = [{ name: "weather", input_schema: { type: "object", properties: { city: { type: "string" } } } },
  { name: "answer", input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] } }];

async function chat(content: string, tool?: string) {
  console.log("Model call: anthropic claude-sonnet-4-5");
  const answer = await fetch("https://api.anthropic.com/v1/messages", {
    method: "POST",
    headers: { "x-api-key": Deno.env.get("ANTHROPIC_API_KEY")!, "anthropic-version": "2023-06-01" },
    body: JSON.stringify({
      model: "claude-sonnet-4-5", max_tokens: 1024, tools: TOOLS, messages: [{ role: "user", content }],
      tool_choice: tool ? { type: "tool", name: tool } : { type: "auto" },
    }),
  });
  if (!answer.ok) return null;
  const data = await answer.json();
  console.log(`Usage ${data.model}: ${data.usage.input_tokens} in, ${data.usage.output_tokens} out`);
  return data.content.find((part: any) => part.type === "tool_use");
}

export async function extract(text: string) {
  return (await chat(text, "answer"))?.input ?? null;
}

export async function ask(question: string): Promise<{ name: string; input: any } | null> {
  return await chat(question);
}
""",
    },
    functions=("assist", "extract"),
    providers=("openai", "anthropic"),
    answers={
        "smoke": [
            {"name": "extracted", "function": "extract", "body": {"text": "Anna, 31"},
             "expect": {"json": {"$.city": {"type": "string"}}}},
            {"name": "tool", "function": "assist", "body": {"question": "What is the weather in Oslo?"},
             "expect": {"json": {"$.tool": "weather", "$.result.degrees": 21}}},
        ],
        "providers.anthropic.price": {"input": 3.00, "cached_input": 0.30, "output": 15.00},
        "criteria.answers_work": {},
        "criteria.cost_per_request": {"mean": 0.01, "max": 0.1},
        "rehearsal.providers": {"openai": {"error_rate": {"500": 0.5}, "even": True, "seed": 1}},
        "rehearsal.baseline": {"statuses": {"502": [0.2, 0.8]}},
    },
)  # fmt: skip

APPS: dict[str, OwnApp] = {
    "legacy": LEGACY,
    "perfunction": PERFUNCTION,
    "monorepo": MONOREPO,
    "fifty": FIFTY,
    "tools": TOOLS,
}
