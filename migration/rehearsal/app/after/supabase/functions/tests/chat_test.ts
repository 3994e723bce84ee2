import assert from "node:assert/strict";
import { gemini, geminiError, GUEST, load, post, within } from "./support.ts";

const chat = await load("chat");

Deno.test("chat answers from Gemini Flash and sends the earlier turns in Gemini's words", async () => {
  await within(GUEST, [gemini("Hello!")], async ({ sent, lines }) => {
    const history = [{ role: "user", content: "Hi" }, { role: "assistant", content: "Yes?" }];
    const body = await (await chat(post({ message: "Help me", history }))).json();
    assert.equal(body.reply, "Hello!");
    const contents = sent[0].body.contents as { role: string }[];
    assert.deepEqual(contents.map(({ role }) => role), ["user", "model", "user"]);
    assert.match(sent[0].url, /\/v1beta\/models\/gemini-.*flash:generateContent$/);
    assert.ok(lines.some((line) => line.includes("Using GOOGLE_KEY_1")));
  });
});

Deno.test("the key travels in one header and never in the address", async () => {
  await within(GUEST, [gemini("Hello!")], async ({ sent }) => {
    await chat(post({ message: "Hi" }));
    assert.equal(sent[0].headers.get("x-goog-api-key"), "one");
    assert.equal(sent[0].headers.get("authorization"), null);
    assert.ok(!sent[0].url.includes("key="));
  });
});

Deno.test("keys of the pool take turns and unset ones are passed over", async () => {
  await within({ ...GUEST, GOOGLE_KEY_4: "four" }, [gemini("Hello!")], async ({ sent }) => {
    for (let i = 0; i < 4; i++) await chat(post({ message: "Hi" }));
    const used = sent.map(({ headers }) => headers.get("x-goog-api-key"));
    assert.equal(used.filter((key) => key === "four").length, 2);
    assert.notEqual(used[0], used[1]);
  });
});

Deno.test("an overloaded Gemini is passed on as 503, without a retry", async () => {
  await within(GUEST, [geminiError(503, "The model is overloaded.")], async ({ sent, errors }) => {
    const answer = await chat(post({ message: "Hi" }));
    assert.equal(answer.status, 503);
    assert.equal((await answer.json()).code, "PROVIDER_OVERLOADED");
    assert.equal(sent.length, 1);
    assert.match(errors[0], /^\[[0-9a-f-]{36}\] ❌ Failed: Gemini 503/);
  });
});

Deno.test("a blocked prompt, a cut answer and an empty one are failures although Gemini says 200", async () => {
  const answers = [
    Response.json({ promptFeedback: { blockReason: "SAFETY" } }),
    Response.json({ candidates: [{ finishReason: "MAX_TOKENS", content: {} }] }),
    Response.json({ candidates: [{ finishReason: "STOP", content: { parts: [] } }] }),
  ];
  for (const answer of answers) {
    await within(GUEST, [answer], async () => assert.equal((await chat(post({ message: "Hi" }))).status, 502));
  }
});

Deno.test("without any key the answer is 500 and the log names the variables", async () => {
  await within({ ...GUEST, GOOGLE_KEY_1: "" }, [], async ({ errors }) => {
    assert.equal((await chat(post({ message: "Hi" }))).status, 500);
    assert.match(errors[0], /GOOGLE_KEY_1 to GOOGLE_KEY_10 not configured/);
  });
});

Deno.test("bad input is refused before Gemini is asked", async () => {
  const bad = [{}, { message: " " }, { message: "x".repeat(10_001) }, { message: "Hi", history: "none" }, []];
  await within(GUEST, [], async ({ sent, errors }) => {
    for (const body of bad) assert.equal((await chat(post(body))).status, 400, JSON.stringify(body).slice(0, 40));
    const broken = new Request("http://localhost/", { method: "POST", body: "{" });
    assert.equal((await chat(broken)).status, 400);
    assert.equal((await chat(new Request("http://localhost/"))).status, 405);
    assert.deepEqual([sent.length, errors.length], [0, 0]);
  });
});

Deno.test("a preflight is answered without a key, a user or a log line", async () => {
  await within({}, [], async ({ sent, lines }) => {
    for (const slug of ["chat", "generate-image", "generate-artifact", "generate-artifact-fix"]) {
      const answer = await (await load(slug))(new Request("http://localhost/", { method: "OPTIONS" }));
      assert.equal(answer.status, 200);
      assert.equal(answer.headers.get("access-control-allow-origin"), "*");
    }
    assert.deepEqual([sent.length, lines.length], [0, 0]);
  });
});
