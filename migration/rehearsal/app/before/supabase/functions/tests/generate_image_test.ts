import assert from "node:assert/strict";
import { gemini, GUEST, load, post, within } from "./support.ts";

const image = await load("generate-image");

Deno.test("the image is found behind a text part and comes as a data address", async () => {
  const parts = [{ text: "Here you are: " }, { inlineData: { mimeType: "image/png", data: "aGk=" } }];
  const answer = Response.json({ candidates: [{ finishReason: "STOP", content: { parts } }] });
  await within(GUEST, [answer], async ({ sent }) => {
    const body = await (await image(post({ prompt: "A red square" }))).json();
    assert.equal(body.image, "data:image/png;base64,aGk=");
    assert.deepEqual(sent[0].body.generationConfig, { responseModalities: ["IMAGE"] });
  });
});

Deno.test("a refusal in words or by finish reason is a failure", async () => {
  const silent = Response.json({ candidates: [{ finishReason: "NO_IMAGE", content: {} }] });
  for (const answer of [gemini("I cannot draw that"), silent]) {
    await within(GUEST, [answer], async () => assert.equal((await image(post({ prompt: "x" }))).status, 502));
  }
});
