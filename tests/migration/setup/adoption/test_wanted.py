"""How the text of a function says that it wants to be called."""

from __future__ import annotations

from pathlib import Path

import pytest

from migration.setup.adoption import wanted
from tests.support import adopted
from tests.support.adopted import WHERE

ZOD = """
const requestSchema = z.object({
  messages: z.array(z.object({ role: z.string(), content: z.string() })),
  style: z.enum(["a", "b"]).optional(),
  depth: z.number().int().default(1),
});
"""


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (ZOD + "const payload = requestSchema.parse(await req.json());", ["messages"]),
        (ZOD + "const sent = await req.json(); const ok = requestSchema.safeParse(sent);", ["messages"]),
        (ZOD + "const sent = await req.json(); other.parse(sent); sent.text;", ["text"]),
        ("go(await req.json()); function go(body: unknown) { const { a, b = 1 } = body as Sent; }", ["a"]),
        ("const { data } = await client.from('x'); const { rows } = body;", []),
    ],
)
def test_body_names(text: str, names: list[str]) -> None:
    """By a schema of zod, or in a function of its own that takes the body apart."""
    assert wanted.body_names(text) == names


def test_long_data_is_passed_over() -> None:
    """Bytecode in the source is one word of hundreds of thousands of letters; adoption read it for hours."""
    assert wanted.body_names(f'const code = "{"6080604052" * 50_000}"; const {{ a }} = await req.json();') == ["a"]
    assert wanted.body_names(f'const code = "{"6080604052" * 50_000}";') == []


def test_method_and_caller(tmp_path: Path) -> None:
    """A case is proposed with the method that the code insists on, and signed in where it asks who calls."""
    assert wanted.method(['if (req.method !== "GET") throw no;']) == "GET"
    assert wanted.method(['if (req.method !== "POST") throw no;']) == ""
    assert wanted.method(['if (req.method != "GET" && req.method !== "PUT") throw no;']) == ""
    me = """Deno.serve(async (req) => {
      if (req.method !== "GET") return new Response("", { status: 405 });
      const { data } = await client.auth.getUser(token);
      return Response.json(data);
    });
    """
    now = me.replace("(data)", "({ data })")
    adopted.run(tmp_path / "root", adopted.app(tmp_path / "app", {f"{WHERE}/me/index.ts": me},
                                               {f"{WHERE}/me/index.ts": now}))  # fmt: skip
    text = (tmp_path / "root" / "config.yaml").read_text()
    assert "#   - {name: me, function: me, method: GET, auth: user, expect: {status: 200}}" in text
    assert '  # user: {email: "${SMOKE_USER_EMAIL}", password: "${SMOKE_USER_PASSWORD}"} # who signs in' in text
