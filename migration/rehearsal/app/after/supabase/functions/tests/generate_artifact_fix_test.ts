import assert from "node:assert/strict";
import { completion, KIMI } from "./kimi.ts";
import { load, MEMBER, post, USER, within } from "./support.ts";

const fix = await load("generate-artifact-fix");
const BROKEN = {
  content: "export default function App() { return <div>",
  type: "react",
  errorMessage: "Unexpected token",
};
const SIGNED_IN = { Authorization: "Bearer token" };
const SETTINGS = { ...MEMBER, ...KIMI };

Deno.test("a signed-in user gets the corrected code from Kimi", async () => {
  await within(SETTINGS, [USER, completion("```jsx\nfixed();\n```")], async ({ sent, lines }) => {
    const body = await (await fix(post(BROKEN, SIGNED_IN))).json();
    assert.equal(body.fixedCode, "fixed();");
    assert.equal(new URL(sent[1].url).host, "openrouter.ai");
    assert.match(JSON.stringify(sent[1].body.messages), /Unexpected token/);
    assert.ok(lines.some((line) => line.includes("Routing to Kimi K2-Thinking via OpenRouter")));
  });
});

Deno.test("401 for no token, for the anonymous key and for a token that the auth server refuses", async () => {
  const refused = Response.json({ code: 403, error_code: "bad_jwt" }, { status: 403 });
  for (const headers of [{}, { Authorization: "Bearer anon" }, SIGNED_IN]) {
    await within(SETTINGS, [refused], async ({ errors }) => {
      assert.equal((await fix(post(BROKEN, headers as Record<string, string>))).status, 401);
      assert.equal(errors.length, 0);
    });
  }
});
