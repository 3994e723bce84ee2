import assert from "node:assert/strict";
import { gemini, geminiError, load, MEMBER, post, USER, within } from "./support.ts";

const fix = await load("generate-artifact-fix");
const BROKEN = {
  content: "export default function App() { return <div>",
  type: "react",
  errorMessage: "Unexpected token",
};
const SIGNED_IN = { Authorization: "Bearer token" };

Deno.test("a signed-in user gets the corrected code", async () => {
  await within(MEMBER, [USER, gemini("```jsx\nfixed();\n```")], async ({ sent }) => {
    const body = await (await fix(post(BROKEN, SIGNED_IN))).json();
    assert.equal(body.fixedCode, "fixed();");
    assert.match(JSON.stringify(sent[1].body.contents), /Unexpected token/);
  });
});

Deno.test("401 for no token, for the anonymous key and for a token that the auth server refuses", async () => {
  const refused = Response.json({ code: 403, error_code: "bad_jwt" }, { status: 403 });
  for (const headers of [{}, { Authorization: "Bearer anon" }, SIGNED_IN]) {
    await within(MEMBER, [refused], async ({ errors }) => {
      assert.equal((await fix(post(BROKEN, headers as Record<string, string>))).status, 401);
      assert.equal(errors.length, 0);
    });
  }
});

Deno.test("an overloaded Gemini reaches the caller at once", async () => {
  await within(MEMBER, [USER, geminiError(503, "Overloaded")], async ({ sent }) => {
    assert.equal((await fix(post(BROKEN, SIGNED_IN))).status, 503);
    assert.equal(sent.length, 2);
  });
});
