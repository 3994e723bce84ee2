"""The real supabase-js asks the sandbox what functions of public apps ask: `tests/data/backend.txt`, line by line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from migration.rehearsal.backend import relay
from tests.migration.rehearsal.backend import seed
from tests.support.edge import IDENTITY, Edge, edge
from tests.support.npm import needed

CALLS = Path(__file__).parents[3] / "data" / "backend.txt"
ECHO = """Deno.serve(async (req) =>
  Response.json({ method: req.method, given: req.method === "GET" ? null : await req.json() }));"""
ASKS = """
import { createClient } from "npm:@supabase/supabase-js@2.119.1";

const [url, key] = [Deno.env.get("SUPABASE_URL"), Deno.env.get("SUPABASE_SERVICE_ROLE_KEY")];
const anonKey = Deno.env.get("SUPABASE_ANON_KEY");
const auth = { persistSession: false, autoRefreshToken: false };
const db = createClient(url, key, { auth });
const anon = createClient(url, anonKey, { auth });
Deno.serve(async (req) => {
  const first = createClient(url, anonKey, { auth });
  const { data } = await first.auth.signInWithPassword({ email: "ada@example.com", password: "correct-horse" });
  const headers = { Authorization: `Bearer ${data.session.access_token}` };
  const ada = createClient(url, anonKey, { global: { headers }, auth });
  ada.auth.getUser = ada.auth.getUser.bind(ada.auth, data.session.access_token);
  const found = [];
  for (const call of await req.json()) {
    try {
      const { data, error, count } = await new Function("db", "ada", "anon", `return ${call}`)(db, ada, anon);
      found.push({ data, count, error: error && { code: error.code, message: error.message, hint: error.hint } });
    } catch (error) {
      found.push({ error: { message: String(error?.stack ?? error) } });
    }
  }
  return Response.json(found);
});
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_call_is_answered_as_hosted(tmp_path: Path) -> None:
    """All in the order of the file, by one function, as its author would write it."""
    needed("npm")
    with edge(tmp_path, tmp_path / "deno", boot_timeout=300, **seed.settings(tmp_path / "files")) as place:
        _ask(place)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_call_reaches_a_local_stack(tmp_path: Path) -> None:
    """The same through `rehearsal.backend`: a stack with the paths, the keys and the refusals of `supabase start`."""
    needed("npm")
    local = relay.adopted(IDENTITY, {"backend": "http://127.0.0.1:1"})
    own = seed.settings(tmp_path / "files")
    with edge(tmp_path / "stack", tmp_path / "deno", identity=local, **own) as stack:
        url = stack.sandbox.url
        with edge(tmp_path / "own", tmp_path / "deno", identity=local, backend=url, boot_timeout=300) as place:
            _ask(place)
            refused = place.call("/rest/v1/notes", "GET")
            assert (refused.status, "API key" in refused.text) == (401, True)


def _ask(place: Edge) -> None:
    """Each line of the file, in one request; what a line wants is what the client gives."""
    lines = [line for line in CALLS.read_text().splitlines() if line and not line.startswith("#")]
    calls, wanted = zip(*(line.split(" ⇒ ") for line in lines), strict=True)
    place.functions.deploy("echo", ECHO)
    place.functions.deploy("asks", ASKS)
    answer = place.function("asks", body=json.dumps(calls), timeout=300)
    assert answer.status == 200, answer.text + "\n".join(row.event_message for row in place.logs.rows)
    rows = zip(calls, wanted, answer.json(), strict=True)
    wrong = [f"{call}\n  wanted {text}\n  got    {json.dumps(found)}"
             for call, text, found in rows if not _fits(text, found)]  # fmt: skip
    assert not wrong, "\n".join(wrong)


def _fits(wanted: str, found: dict[str, object]) -> bool:
    kind, _, rest = wanted.partition(" ")
    if kind == "count":
        return found.get("count") == int(rest)
    if kind.startswith("error."):
        error = found.get("error")
        return isinstance(error, dict) and error.get(kind.removeprefix("error.")) == json.loads(rest)
    return found.get("data") == json.loads(wanted) and not found.get("error")
