import assert from "node:assert/strict";
import { ARTIFACT, gemini, geminiError, GUEST, load, MEMBER, post, USER, within } from "./support.ts";

const generate = await load("generate-artifact");
const COUNTER = { prompt: "A counter", artifactType: "react" };
const OVERLOADED = geminiError(503, "The model is overloaded.");

Deno.test("a guest gets an artifact from Gemini Pro", async () => {
  await within(GUEST, [gemini(ARTIFACT)], async ({ sent, lines }) => {
    const answer = await generate(post(COUNTER, { Authorization: "Bearer anon" }));
    const body = await answer.json();
    assert.deepEqual([answer.status, body.success, body.artifactCode], [200, true, ARTIFACT]);
    assert.equal(answer.headers.get("x-request-id"), body.requestId);
    assert.equal(sent.length, 1);
    assert.match(sent[0].url, /gemini-.*pro:generateContent$/);
    assert.ok(lines.every((line) => line.startsWith(`[${body.requestId}] `)));
    assert.ok(lines.some((line) => line.includes("for a guest")));
  });
});

Deno.test("a signed-in user is looked up once", async () => {
  await within(MEMBER, [USER, gemini(ARTIFACT)], async ({ sent, lines }) => {
    await generate(post(COUNTER, { Authorization: "Bearer token" }));
    assert.equal(sent[0].url, "http://project/auth/v1/user");
    assert.ok(lines.some((line) => line.includes("for user user-1")));
  });
});

Deno.test("503 and 429 are tried once more", async () => {
  for (const first of [OVERLOADED, geminiError(429, "Quota exceeded")]) {
    await within(GUEST, [first, gemini(ARTIFACT)], async ({ sent, lines }) => {
      assert.equal((await generate(post(COUNTER))).status, 200);
      assert.equal(sent.length, 2);
      assert.ok(lines.some((line) => line.includes("Retrying, 1 of 1: Gemini ")));
    });
  }
});

Deno.test("the second 503 in a row reaches the caller", async () => {
  await within(GUEST, [OVERLOADED], async ({ sent }) => {
    assert.equal((await generate(post(COUNTER))).status, 503);
    assert.equal(sent.length, 2);
  });
});

Deno.test("a daily quota, spent money and a refused key are not tried again", async () => {
  const daily = geminiError(429, "Quota exceeded", [{ violations: [{ quotaId: "GenerateRequestsPerDay" }] }]);
  const spent = geminiError(429, "Your prepayment credits are depleted.");
  for (const answer of [daily, spent, geminiError(400, "API key not valid.")]) {
    await within(GUEST, [answer], async ({ sent }) => {
      assert.ok((await generate(post(COUNTER))).status >= 400);
      assert.equal(sent.length, 1);
    });
  }
});

Deno.test("an empty or over-long prompt and an unknown type are refused with an error", async () => {
  const bad = [{ ...COUNTER, prompt: "" }, { ...COUNTER, prompt: "x".repeat(10_001) }, {
    ...COUNTER,
    artifactType: "pdf",
  }];
  await within(GUEST, [], async ({ sent }) => {
    for (const body of bad) {
      const answer = await generate(post(body));
      assert.equal(answer.status, 400);
      assert.ok((await answer.json()).error);
    }
    assert.equal(sent.length, 0);
  });
});
