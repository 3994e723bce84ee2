import assert from "node:assert/strict";
import { completion, failure, KIMI } from "./kimi.ts";
import { ARTIFACT, load, post, within } from "./support.ts";

const generate = await load("generate-artifact");
const COUNTER = { prompt: "A counter", artifactType: "react" };

Deno.test("a guest gets an artifact from Kimi, and Gemini is not asked", async () => {
  await within(KIMI, [completion(ARTIFACT)], async ({ sent, lines }) => {
    const answer = await generate(post(COUNTER, { Authorization: "Bearer anon" }));
    const body = await answer.json();
    assert.deepEqual([answer.status, body.success, body.artifactCode], [200, true, ARTIFACT]);
    assert.equal(answer.headers.get("x-request-id"), body.requestId);
    assert.deepEqual(sent.map(({ url }) => new URL(url).host), ["openrouter.ai"]);
    assert.ok(lines.every((line) => line.startsWith(`[${body.requestId}] `)));
  });
});

Deno.test("the lines that the migration is watched by are logged in order", async () => {
  await within(KIMI, [failure(503, "Busy"), completion(ARTIFACT)], async ({ lines }) => {
    await generate(post(COUNTER));
    const wanted = [
      "Routing to Kimi K2-Thinking via OpenRouter",
      "Retrying in ",
      "💰 Token usage:",
      "✅ Extracted artifact from Kimi, length: ",
    ];
    const places = wanted.map((text) => lines.findIndex((line) => line.includes(text)));
    assert.ok(places.every((place) => place >= 0), lines.join("\n"));
    assert.deepEqual(places, places.toSorted((a, b) => a - b));
  });
});

Deno.test("a failing provider reaches the caller as JSON, and the log as an error", async () => {
  await within(KIMI, [failure(402, "Insufficient credits.")], async ({ errors }) => {
    const answer = await generate(post(COUNTER));
    const body = await answer.json();
    assert.deepEqual([answer.status, body.success, body.code], [502, false, "PROVIDER_CREDIT"]);
    assert.match(errors[0], /❌ Failed: OpenRouter 402: Insufficient credits\./);
  });
});

Deno.test("without the key the answer is 500 and the log says which is missing", async () => {
  await within({ ...KIMI, OPENROUTER_K2T_KEY: "" }, [], async ({ errors }) => {
    assert.equal((await generate(post(COUNTER))).status, 500);
    assert.match(errors[0], /OPENROUTER_K2T_KEY not configured/);
  });
});

Deno.test("an answer without an artifact is a failure of the provider", async () => {
  await within(KIMI, [completion("I would rather talk.")], async () => {
    assert.equal((await generate(post(COUNTER))).status, 502);
  });
});

Deno.test("an empty or over-long prompt and an unknown type are refused with an error", async () => {
  const bad = [{ ...COUNTER, prompt: "" }, { ...COUNTER, prompt: "x".repeat(10_001) }, {
    ...COUNTER,
    artifactType: "pdf",
  }];
  await within(KIMI, [], async ({ sent }) => {
    for (const body of bad) {
      const answer = await generate(post(body));
      assert.equal(answer.status, 400);
      assert.ok((await answer.json()).error);
    }
    assert.equal(sent.length, 0);
  });
});
