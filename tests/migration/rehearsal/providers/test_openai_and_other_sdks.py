"""The SDKs that functions import, unmodified, on Deno, against the stand-ins of their services."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.edge import IDENTITY, edge
from tests.support.npm import needed

OPENAI = """
import OpenAI from "npm:openai@7.59.0";
const ai = new OpenAI({ apiKey: Deno.env.get("OPENAI_API_KEY"), maxRetries: 0 });
const tools = [{ type: "function", function: { name: "get_weather", description: "The weather of a city",
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] } } }];
const messages = [{ role: "user", content: "What is the weather in Paris?" }];
const model = "gpt-4o-mini";
Deno.serve(async () => {
  const found = {};
  const plain = await ai.chat.completions.create({ model, messages: [{ role: "user", content: "Reply with 'pong'" }] });
  found.plain = [plain.choices[0].message.content, plain.usage.total_tokens > 0, plain.model];
  const json = await ai.chat.completions.create({ model, response_format: { type: "json_schema", json_schema: {
    name: "one", schema: { type: "object", properties: { n: { type: "integer" } } } } }, messages });
  found.json = JSON.parse(json.choices[0].message.content);
  const called = await ai.chat.completions.create({ model, messages, tools });
  const call = called.choices[0].message.tool_calls[0];
  found.call = [called.choices[0].finish_reason, call.function.name, JSON.parse(call.function.arguments)];
  const after = await ai.chat.completions.create({ model, tools, messages: [...messages, called.choices[0].message,
    { role: "tool", tool_call_id: call.id, content: "18 degrees" }] });
  found.after = after.choices[0].message.content.includes("18 degrees");
  const stream = ai.chat.completions.stream({ model, messages: [{ role: "user", content: "Reply with 'streamed'" }],
    stream_options: { include_usage: true } });
  found.stream = [await stream.finalContent(), (await stream.totalUsage()).completion_tokens > 0];
  const streamed = await ai.chat.completions.stream({ model, messages, tools }).finalChatCompletion();
  found.streamedCall = JSON.parse(streamed.choices[0].message.tool_calls[0].function.arguments);
  const response = await ai.responses.create({ model: "gpt-5", input: "Reply with 'hello'",
    instructions: "Be brief." });
  found.response = [response.output_text, response.status, response.usage.output_tokens_details.reasoning_tokens > 0];
  const named = { type: "function", name: "get_weather", parameters: tools[0].function.parameters, strict: false };
  const second = await ai.responses.create({ model, input: "What is the weather in Oslo?", tools: [named] });
  const asked = second.output.find((each) => each.type === "function_call");
  const third = await ai.responses.create({ model, previous_response_id: second.id,
    input: [{ type: "function_call_output", call_id: asked.call_id, output: "3 degrees" }] });
  found.loop = [JSON.parse(asked.arguments), third.output_text.includes("3 degrees")];
  const events = await ai.responses.stream({ model, input: "Reply with 'piece by piece'" }).finalResponse();
  found.events = events.output_text;
  const vector = await ai.embeddings.create({ model: "text-embedding-3-small", input: ["one", "two"] });
  found.vectors = vector.data.map((each) => each.embedding.length);
  found.models = (await ai.models.list()).data.length > 0;
  try { await new OpenAI({ apiKey: "sk-wrong", maxRetries: 0 }).models.list(); } catch (error) {
    found.wrong = [error.status, error.code, error.constructor.name]; }
  try { await ai.chat.completions.create({ model: "o3", max_tokens: 5, messages }); } catch (error) {
    found.limit = [error.status, error.code, error.param]; }
  return Response.json(found);
});
"""
ANTHROPIC = """
import Anthropic from "npm:@anthropic-ai/sdk@1.14.0";
const ai = new Anthropic({ apiKey: Deno.env.get("ANTHROPIC_API_KEY"), maxRetries: 0 });
const model = "claude-sonnet-4-5", max_tokens = 4000;
const tools = [{ name: "get_weather", description: "The weather of a city",
  input_schema: { type: "object", properties: { city: { type: "string" } } } }];
const messages = [{ role: "user", content: "What is the weather in Paris?" }];
Deno.serve(async () => {
  const found = {};
  const one = (text) => [{ role: "user", content: `Reply with '${text}'` }];
  const plain = await ai.messages.create({ model, max_tokens, messages: one("pong") });
  found.plain = [plain.content, plain.stop_reason, plain.usage.output_tokens > 0];
  const thinking = { type: "enabled", budget_tokens: 2000 };
  const thought = await ai.messages.create({ model, max_tokens, messages, thinking });
  found.thought = thought.content.map((each) => each.type);
  const called = await ai.messages.create({ model, max_tokens, messages, tools });
  const use = called.content.find((each) => each.type === "tool_use");
  found.call = [called.stop_reason, use.name, use.input];
  const after = await ai.messages.create({ model, max_tokens, tools, messages: [...messages,
    { role: "assistant", content: called.content },
    { role: "user", content: [{ type: "tool_result", tool_use_id: use.id, content: "18 degrees" }] }] });
  found.after = after.content[0].text.includes("18 degrees");
  const stream = ai.messages.stream({ model, max_tokens, messages: one("streamed") });
  found.stream = [await stream.finalText(), (await stream.finalMessage()).stop_reason];
  const streamed = await ai.messages.stream({ model, max_tokens, messages, tools }).finalMessage();
  found.streamedCall = streamed.content.find((each) => each.type === "tool_use").input;
  const system = [{ type: "text", text: "A long instruction. ".repeat(300), cache_control: { type: "ephemeral" } }];
  const first = await ai.messages.create({ model, max_tokens, system, messages });
  const again = await ai.messages.create({ model, max_tokens, system, messages });
  found.cache = [first.usage.cache_creation_input_tokens, again.usage.cache_read_input_tokens];
  found.count = (await ai.messages.countTokens({ model, messages })).input_tokens > 0;
  found.short = (await ai.messages.create({ model, max_tokens: 2, messages })).stop_reason;
  try { await new Anthropic({ apiKey: "wrong", maxRetries: 0 }).messages.create({ model, max_tokens, messages }); }
  catch (error) { found.wrong = [error.status, error.error.error.type]; }
  return Response.json(found);
});
"""
GOOGLE = """
import { GoogleGenAI } from "npm:@google/genai@3.3.0";
const ai = new GoogleGenAI({ apiKey: Deno.env.get("GEMINI_API_KEY") });
const model = "gemini-3-flash";
const functionDeclarations = [{ name: "get_weather", description: "The weather of a city",
  parameters: { type: "OBJECT", properties: { city: { type: "STRING" } } } }];
const contents = "What is the weather in Paris?";
Deno.serve(async () => {
  const found = {};
  const plain = await ai.models.generateContent({ model, contents: "Reply with 'pong'" });
  found.plain = [plain.text, plain.usageMetadata.totalTokenCount > 0];
  const json = await ai.models.generateContent({ model, contents, config: { responseMimeType: "application/json",
    responseSchema: { type: "OBJECT", properties: { n: { type: "INTEGER" } } } } });
  found.json = JSON.parse(json.text);
  const called = await ai.models.generateContent({ model, contents, config: { tools: [{ functionDeclarations }] } });
  found.call = [called.functionCalls[0].name, called.functionCalls[0].args];
  const stream = await ai.models.generateContentStream({ model, contents: "Reply with 'streamed'" });
  found.stream = "";
  for await (const chunk of stream) found.stream += chunk.text ?? "";
  const chat = ai.chats.create({ model });
  await chat.sendMessage({ message: "Hello" });
  found.chat = (await chat.sendMessage({ message: "Reply with 'again'" })).text;
  found.count = (await ai.models.countTokens({ model, contents })).totalTokens > 0;
  const embedded = await ai.models.embedContent({ model: "gemini-embedding-001", contents: ["one"] });
  found.vector = embedded.embeddings[0].values.length;
  try { await new GoogleGenAI({ apiKey: "wrong" }).models.generateContent({ model, contents }); }
  catch (error) { found.wrong = [error.status, error.message.includes("API_KEY_INVALID")]; }
  return Response.json(found);
});
"""
STRIPE = """
import Stripe from "npm:stripe@23.1.0";
const stripe = new Stripe("sk_test_x", { maxNetworkRetries: 0 });
const plain = new Stripe("sk_test_x", { maxNetworkRetries: 0, httpClient: Stripe.createFetchHttpClient() });
Deno.serve(async () => {
  const found = {};
  for (const [name, client] of Object.entries({ node: stripe, fetch: plain })) {
    const session = await client.checkout.sessions.create({ mode: "payment", success_url: "https://example.com",
      line_items: [{ price: "price_1", quantity: 1 }] });
    found[name] = [session.id, session.url];
    try { await client.charges.retrieve("ch_gone"); } catch (error) {
      found[`${name}Error`] = [error.type, error.statusCode, error.message]; }
  }
  return Response.json(found);
});
"""
HOSTS: dict[str, Any] = {
    "api.stripe.com": {
        "answers": [
            {"method": "POST", "path": "/v1/checkout/sessions", "json": {"id": "cs_1", "url": "https://pay.example"}},
            {"path": "/v1/charges/*", "status": 404,
             "json": {"error": {"type": "invalid_request_error", "message": "No such charge"}}},
        ]
    }
}  # fmt: skip
GONE = ["StripeInvalidRequestError", 404, "No such charge"]
EXPECTED: dict[str, tuple[str, dict[str, Any]]] = {
    "openai": (OPENAI, {
        "plain": ["pong", True, "gpt-4o-mini"], "json": {"n": 1}, "after": True, "stream": ["streamed", True],
        "call": ["tool_calls", "get_weather", {"city": "Paris"}], "streamedCall": {"city": "Paris"},
        "response": ["hello", "completed", True], "loop": [{"city": "Oslo"}, True], "events": "piece by piece",
        "vectors": [1536, 1536], "models": True, "wrong": [401, "invalid_api_key", "AuthenticationError"],
        "limit": [400, "unsupported_parameter", "max_tokens"],
    }),
    "anthropic": (ANTHROPIC, {
        "plain": [[{"type": "text", "text": "pong"}], "end_turn", True], "thought": ["thinking", "text"],
        "call": ["tool_use", "get_weather", {"city": "Paris"}], "after": True, "stream": ["streamed", "end_turn"],
        "streamedCall": {"city": "Paris"}, "cache": [1500, 1500], "count": True, "short": "max_tokens",
        "wrong": [401, "authentication_error"],
    }),
    "google": (GOOGLE, {
        "plain": ["pong", True], "json": {"n": 1}, "call": ["get_weather", {"city": "Paris"}], "stream": "streamed",
        "chat": "again", "count": True, "vector": 768, "wrong": [400, True],
    }),
    "stripe": (STRIPE, {
        "node": ["cs_1", "https://pay.example"], "fetch": ["cs_1", "https://pay.example"],
        "nodeError": GONE, "fetchError": GONE,
    }),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", EXPECTED)
def test_an_sdk_finds_its_service(tmp_path: Path, name: str) -> None:
    """Every call of the function ends at the stand-in, and gives what the SDK's own types promise."""
    needed("npm")
    source, wanted = EXPECTED[name]
    with edge(tmp_path, tmp_path / "deno", boot_timeout=300, providers={}, hosts=HOSTS) as place:
        keys = {"OPENAI_API_KEY": "openai", "ANTHROPIC_API_KEY": "anthropic", "GEMINI_API_KEY": "gemini"}
        place.functions.vault = {secret: IDENTITY.keys(kind)[0] for secret, kind in keys.items()}
        place.functions.deploy(name, source)
        answer = place.function(name, timeout=300)
        rows = "\n".join(row.event_message for row in place.logs.rows)
        assert answer.status == 200, answer.text + rows
    assert answer.json() == json.loads(json.dumps(wanted)), rows
