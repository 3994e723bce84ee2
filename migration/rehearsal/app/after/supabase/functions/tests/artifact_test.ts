import assert from "node:assert/strict";
import { extractArtifact, extractCode } from "../_shared/artifact.ts";

Deno.test("prose around the artifact and fences inside it are cut away", () => {
  const answer =
    'Sure!\n<artifact type="text/plain" title="A &amp; B">\n```tsx\nexport default 1;\n```\n</artifact>\nBye';
  assert.equal(
    extractArtifact(answer, "react", "unused"),
    '<artifact type="application/vnd.ant.react" title="A &amp; B">\nexport default 1;\n</artifact>',
  );
});

Deno.test("a fenced block without a wrapper gets one, titled after the prompt", () => {
  assert.equal(
    extractArtifact("```html\n<p>Hi</p>\n```", "html", 'Say "Hi" & <b>'),
    '<artifact type="text/html" title="Say &quot;Hi&quot; &amp; &lt;b&gt;">\n<p>Hi</p>\n</artifact>',
  );
});

Deno.test("prose, an empty wrapper and a wrapper cut in the middle are no artifacts", () => {
  for (const answer of ["I would rather not.", '<artifact title="x"></artifact>', '<artifact title="x">const a']) {
    assert.throws(() => extractArtifact(answer, "svg", "x"), { code: "BAD_ANSWER" });
  }
});

Deno.test("a fix is the bare code, whatever the model wrapped it in", () => {
  for (const answer of ["a();", "```js\na();\n```", '<artifact title="x">\na();\n</artifact>']) {
    assert.equal(extractCode(answer), "a();");
  }
  assert.throws(() => extractCode("  "), { code: "BAD_ANSWER" });
});
