import assert from "node:assert/strict";
import { ProviderError } from "../_shared/errors.ts";
import { startLog } from "../_shared/log.ts";
import { callKimi } from "../_shared/openrouter-client.ts";
import { completion, failure, KIMI, USAGE } from "./kimi.ts";
import { within, type World } from "./support.ts";

const ASK = [{ role: "user" as const, content: "Hi" }];
const ask = () => callKimi(ASK, startLog());

async function failing(
  answers: (Response | Error)[],
  check: (error: ProviderError, world: World) => void,
  settings = KIMI,
) {
  await within(settings, answers, async (world) => {
    const error = await ask().then(() => assert.fail("no error"), (error) => error);
    assert.ok(error instanceof ProviderError, String(error));
    check(error, world);
  });
}

Deno.test("the request names the model, a budget for thinking, and the key in its header only", async () => {
  await within(KIMI, [completion("Hello")], async ({ sent, lines }) => {
    assert.equal(await ask(), "Hello");
    assert.equal(sent[0].url, "https://openrouter.ai/api/v1/chat/completions");
    assert.equal(sent[0].headers.get("authorization"), "Bearer sk-or-v1-test");
    assert.equal(sent[0].body.model, "moonshotai/kimi-k2-thinking");
    assert.ok((sent[0].body.max_tokens as number) >= 16_000);
    assert.ok(!lines.join().includes("sk-or-v1"));
  });
});

Deno.test("usage is logged with the cost that the provider charged", async () => {
  const details = { prompt_tokens_details: { cached_tokens: 1000 } };
  await within(KIMI, [completion("Hello", { ...USAGE, ...details })], async ({ lines }) => {
    await ask();
    const line = lines.find((line) => line.includes("💰 Token usage:"))!;
    assert.match(line, /input: 1234,\s+output: 567,\s+total: 1801,\s+cached: 1000,\s+estimatedCost: "\$0.0018"/);
  });
});

Deno.test("without a cost in the answer it is reckoned from prices, cached tokens at their own", async () => {
  const cases = [[0, "$0.0085"], [4000, "$0.0067"]] as const;
  for (const [cached, cost] of cases) {
    const usage = {
      prompt_tokens: 10_000,
      completion_tokens: 1_000,
      total_tokens: 11_000,
      cost: null,
      prompt_tokens_details: { cached_tokens: cached },
    };
    await within(KIMI, [completion("Hello", usage)], async ({ lines }) => {
      await ask();
      assert.ok(lines.some((line) => line.includes(`estimatedCost: "${cost}"`)), lines.join("\n"));
    });
  }
});

Deno.test("content in parts is joined", async () => {
  await within(KIMI, [completion([{ text: "Hel" }, { text: "lo" }])], async () => assert.equal(await ask(), "Hello"));
});

Deno.test("a transient failure is tried again and each retry is logged", async () => {
  const errors = [408, 429, 500, 502, 503, 504, 524, 529].map((status) => failure(status, "Try later"));
  for (const error of [...errors, new TypeError("connection reset")]) {
    await within(KIMI, [error, completion("Hello")], async ({ sent, lines }) => {
      assert.equal(await ask(), "Hello");
      assert.equal(sent.length, 2);
      assert.ok(lines.some((line) => /Retrying in \d+ ms, 1 of 2: OpenRouter/.test(line)));
    });
  }
});

Deno.test("errors inside HTTP 200 are failures: at the top, in the choice, no choices, no JSON", async () => {
  const bodies = [
    { error: { code: 502, message: "Provider returned error" } },
    { choices: [{ finish_reason: "error", message: { content: "Par" }, error: { code: 502, message: "Gone" } }] },
    { choices: [] },
  ].map((body) => Response.json(body));
  for (const answer of [...bodies, new Response("<html>")]) {
    await failing([answer], (error, { sent }) => {
      assert.ok(error.status >= 502);
      assert.equal(sent.length, 3);
    });
  }
});

Deno.test("thinking that ate the whole budget is a failure, and its tokens are logged as they are billed", async () => {
  const choices = [{ finish_reason: "length", message: { content: "", reasoning: "Long thoughts" } }];
  await failing([Response.json({ choices, usage: USAGE })], (error, { lines }) => {
    assert.equal(error.code, "BAD_ANSWER");
    assert.match(error.message, /length/);
    assert.equal(lines.filter((line) => line.includes("Token usage")).length, 3);
  });
});

Deno.test("a dead key, spent credit and a bad request are not tried again, and say which it is", async () => {
  const cases = [
    [failure(401, "User not found."), "PROVIDER_KEY"],
    [failure(402, "Insufficient credits."), "PROVIDER_CREDIT"],
    [failure(403, "Key limit exceeded (total limit)."), "PROVIDER_CREDIT"],
    [failure(400, "Invalid request parameters"), "PROVIDER_REFUSED"],
  ] as const;
  for (const [answer, code] of cases) {
    await failing([answer], (error, { sent }) => {
      assert.deepEqual([error.code, error.status, sent.length], [code, 502, 1]);
    });
  }
});

Deno.test("after three attempts an overloaded provider is a 503", async () => {
  await failing([failure(503, "Service temporarily unavailable")], (error, { sent }) => {
    assert.deepEqual([error.code, error.status, sent.length], ["PROVIDER_OVERLOADED", 503, 3]);
  });
});

Deno.test("Retry-After is obeyed, and one that asks for minutes ends the call", async () => {
  await within(KIMI, [failure(429, "Slow down", { "Retry-After": "0" }), completion("Hello")], async ({ lines }) => {
    await ask();
    assert.ok(lines.some((line) => line.includes("in 0 ms")));
  });
  const later = new Date(Date.now() + 600_000).toUTCString();
  for (const wait of ["600", later]) {
    await failing([failure(429, "Slow down", { "Retry-After": wait })], (_, { sent }) => assert.equal(sent.length, 1));
  }
});

Deno.test("a try that takes too long is a timeout, and no wait goes past the deadline", async () => {
  const late = new DOMException("Signal timed out.", "TimeoutError");
  await failing([late], (error, { sent }) => {
    assert.deepEqual([error.code, error.status, sent.length], ["PROVIDER_TIMEOUT", 504, 3]);
  });
  const settings = { ...KIMI, OPENROUTER_RETRY_BASE_MS: "1000", OPENROUTER_DEADLINE_MS: "100" };
  await failing([failure(503, "Busy")], (_, { sent }) => assert.equal(sent.length, 1), settings);
});

Deno.test("a missing key is named in the log of the function and nothing is sent", async () => {
  await failing([], (error, { sent }) => {
    assert.deepEqual([error.status, sent.length], [500, 0]);
    assert.match(error.message, /OPENROUTER_K2T_KEY not configured/);
  }, { ...KIMI, OPENROUTER_K2T_KEY: "" });
});
