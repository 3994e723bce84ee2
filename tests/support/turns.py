# ruff: noqa: E501 - each wrong turn is one row, its sentence whole
"""Wrong turns: what a person sets up or types by mistake, and the one sentence that meets it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.support import repos

CONFIG = """\
migration: {name: m, functions: [greet], unchanged: [ping], to: openai}
app: {path: app, base: @base@}
environments:
  prod: {project_ref: abcdefghijklmnopqrst, url: "http://localhost:9", api_url: "http://localhost:9",
    access_token: "${SUPABASE_ACCESS_TOKEN}", confirm: true}
  local: {url: "http://localhost:9"}
  sandbox: {embedded: true}
providers:
  openai: {kind: openai, model: gpt-4o-mini, price: {input: 1, cached_input: 1, output: 2}}
secrets: {OPENAI_API_KEY: {provider: openai}}
auth: {anon_key: "${SUPABASE_ANON_KEY}"}
signals: {new_route: Routing to, usage: "^in=(?P<input>\\\\d+) out=(?P<output>\\\\d+)"}
smoke:
  - {name: hello, function: greet, body: {name: Ada}}
criteria: {no_503: {}}
"""
SERVE = 'Deno.serve(() => new Response("hello"));\n'
APP = {
    f"supabase/functions/{name}/index.ts": text
    for name, text in {"greet": SERVE, "ping": SERVE.replace("hello", "pong")}.items()
}
ENV = "SUPABASE_ACCESS_TOKEN=sbp_0123456789\nSUPABASE_ANON_KEY=anon-key\nOPENAI_API_KEY=sk-0123456789\n"


@dataclass(frozen=True)
class Place:
    """A folder with config.yaml, .env and an app."""

    root: Path

    @property
    def config(self) -> Path:
        return self.root / "config.yaml"

    @property
    def app(self) -> Path:
        return self.root / "app"

    def edit(self, old: str, new: str) -> None:
        text = self.config.read_text(encoding="utf-8")
        assert old in text, old
        self.config.write_text(text.replace(old, new, 1), encoding="utf-8")


Setup = Callable[[Place], object]


@dataclass(frozen=True)
class Turn:
    """`typed` after `inv`; `sentence`: the whole cause, in which ROOT stands for the folder; `then`: what to do next."""

    name: str
    typed: str
    sentence: str
    then: str = ""
    setup: Setup = lambda _: None


def make(root: Path) -> Place:
    """The place before the wrong turn; everything in it works."""
    remote = repos.bare(root / "origin.git")
    app = repos.clone(remote, root / "app")
    base = repos.commit(app, APP, "Begin")
    repos.commit(app, {"supabase/functions/greet/index.ts": SERVE.replace("hello", "hi")}, "Move")
    repos.git(app, "push", "--quiet", "origin", "HEAD:refs/heads/main")
    (root / "config.yaml").write_text(CONFIG.replace("@base@", f'"{base}"'), encoding="utf-8")
    (root / ".env").write_text(ENV, encoding="utf-8")
    (root / ".env").chmod(0o600)
    return Place(root)


def config(old: str, new: str) -> Setup:
    """One change of config.yaml."""
    return lambda place: place.edit(old, new)


def whole(text: str) -> Setup:
    return lambda place: place.config.write_text(text, encoding="utf-8")


def dotenv(text: str) -> Setup:
    return lambda place: (place.root / ".env").write_text(text, encoding="utf-8")


def gone(name: str) -> Setup:
    return lambda place: (place.root / name).rename(place.root / f"{name}.away")


CASE = "{name: hello, function: greet, body: {name: Ada}}"
OWN = "criteria: {no_503: {}}"
# fmt: off
TURNS = [
    Turn("verb mistyped", "deplyo", "There is no verb deplyo. Nothing was run. Did you mean:", "→ inv deploy"),
    Turn("flag mistyped", "deploy --yess", "deploy has no flag --yess. Did you mean --yes?", "→ inv --help deploy"),
    Turn("environment as a word", "deploy prod", "prod is an environment, not a verb. Nothing was run. prod is the default:", "→ inv deploy"),
    Turn("environment unknown", "plan --env stagin", "config.yaml has no environment stagin.", "use --env with one of: prod, local, sandbox"),
    Turn("environment without a project", "plan --env local", "local has no project_ref: only smoke, soak and e2e work there", "pass --env with an environment that has one: prod, sandbox"),
    Turn("sandbox not running", "plan --env sandbox", "The sandbox is not running: start it in another terminal.", "→ inv sandbox"),
    Turn("function unknown", "plan --only greeet", "greeet is not one of migration.functions or migration.unchanged (greet, ping).", "→ inv plan"),
    Turn("costs by week", "costs --by week", "--by week is not known.", "use --by day, --by function, --by hour or --by model"),
    Turn("time not a time", "costs --since yesterdayish", "'yesterdayish' is neither a duration nor a time.", "use for example 2h or 2026-11-22T18:30Z"),
    Turn("follow with an end", "logs --follow --until 1h", "--until 1h is not after --since 1h", "--since is the earlier one, for example 5m"),
    Turn("limit not a number", "logs --limit many", "--limit many is not a number from 0 to 1,000,000,000.", "write it like --limit 20"),
    Turn("signal unknown", "logs --signal old_rute", "config.yaml has no signal old_rute.", "use one of: new_route, usage"),
    Turn("level unknown", "logs --level fatal", "--level fatal is not a level.", "use one of: debug, info, warn, error"),
    Turn("case unknown", "smoke --case helo", "There is no smoke case helo.", "use one of: hello"),
    Turn("lock without an id", "unlock", "unlock needs a value: id.", "→ inv --help unlock"),
    Turn("dry deploy", "--dry deploy", "--dry (or INVOKE_RUN_DRY) does not work with deploy, which changes something. Nothing was changed.", "→ inv deploy --dry-run"),
    Turn("scope unknown", "rollback --scope everything", "--scope everything is not known; it is functions or commit.", "→ inv rollback --scope functions → inv rollback --scope commit"),
    Turn("no reason to go without the lock", "rollback --yes --without-lock=", "--without-lock needs a reason.", "→ inv rollback --without-lock 'could not acquire the lock'"),
    Turn("round too short", "watch --every 5s", "--every 5s is too often.", "use at least 30s"),
    Turn("watch shorter than a round", "watch --for 1m", "A watch of 1m is shorter than one round of 5m.", "→ inv watch"),
    Turn("requests not a number", "soak --yes --max-requests none", "--max-requests none is not a number from 0 to 1,000,000,000.", "write it like --max-requests 20"),
    Turn("concurrency of none", "soak --yes --concurrency 0", "--concurrency 0: should be at least 1", "→ inv soak --help"),
    Turn("cost below nothing", "soak --yes --max-cost=-1", "--max-cost -1 is not a number from 0 to 1,000,000,000.", "write it like --max-cost 0.50"),
    Turn("rating out of range", "history --note good --rating 9", "--rating 9 is not between 1 and 5.", "→ inv history --note good --rating 4"),
    Turn("rating without a note", "history --rating 3", "A rating needs a note: what was rated, and by whom.", "→ inv history --note 'what users say' --rating 3"),
    Turn("source of what is unknown", "history --source greeet", "The ledger is empty: nothing was deployed with Cutover yet.", "→ inv plan"),
    Turn("range without an app", "init --range a..b", "--range needs --app.", "run it again with --app and the folder that holds supabase/functions"),
    Turn("app not there", "init --app nowhere", "nowhere is not a folder.", "--app names the folder of your app's git repository"),
    Turn("app without functions", "init --app .empty", ".empty has no supabase/functions, and no folder below it has.", "name the app's folder", setup=lambda place: (place.root / ".empty").mkdir()),
    Turn("plan not there", "init --plan nowhere.md", "Cannot read nowhere.md: No such file or directory.", "--plan names a Markdown file"),
    Turn("ci unknown", "init --ci jenkins", "--ci jenkins is not known.", "use --ci github; docs/ci.md has the lines for others"),
    Turn("port not a number", "sandbox --port banana", "--port banana is not a number from 0 to 65,535.", "write it like --port 54999"),
    Turn("wait not a duration", "deploy --wait soon", "'soon' is not a duration.", "use for example 30s, 10m or 24h"),
    Turn("config not there", "plan", "ROOT/config.yaml does not exist.", "run inv in the folder of tasks.py, or set CUTOVER_CONFIG", setup=gone("config.yaml")),
    Turn("port beyond the last", "sandbox --port 65536", "--port 65536 is not a number from 0 to 65,535.", "write it like --port 54999"),
    Turn("config empty", "plan", "config.yaml: expected keys and values.", "start from the shipped config.yaml", setup=whole("")),
    Turn("config not YAML", "plan", "config.yaml:2:1: not valid YAML: while parsing a flow mapping that begins in line 1, did not find expected ',' or '}'", "fix that line", setup=config("migration: {", "migration: {{")),
    Turn("config with a tab", "plan", "config.yaml:6:1: not valid YAML: while scanning for the next token found character that cannot start any token", "fix that line", setup=config("  local:", "\tlocal:")),
    Turn("key mistyped", "plan", "config.yaml:1:42: migration.unchangd: unknown key; did you mean unchanged?", "fix this and run it again", setup=config("unchanged:", "unchangd:")),
    Turn("key twice", "plan", "config.yaml:16:1: criteria: is written twice (first in line 15)", "fix this and run it again", setup=config(OWN, f"{OWN}\n{OWN}")),
    Turn("section missing", "plan", "config.yaml:1:1: app: is missing\nconfig.yaml:2:1: x-app: unknown key; did you mean app?", "fix these and run it again", setup=config("app: {path: app", "x-app: {path: app")),
    Turn("list in place of text", "plan", "config.yaml:1:13: migration.name: should be text, got a list", "fix this and run it again", setup=config("name: m,", "name: [m],")),
    Turn("address in clear", "plan", "config.yaml:6:11: environments.local.url: should begin with https://: keys would travel in clear (http:// is for localhost)", "fix this and run it again", setup=config('local: {url: "http://localhost:9"}', 'local: {url: "http://x.example"}')),
    Turn("ref mistyped", "plan", "config.yaml:4:10: environments.prod.project_ref: should be the twenty lower-case letters of the dashboard's address", "fix this and run it again", setup=config("abcdefghijklmnopqrst", "abcdefghij")),
    Turn("provider unknown", "plan", "config.yaml:1:61: migration.to: there is no provider opena; did you mean openai?", "fix this and run it again", setup=config("to: openai", "to: opena")),
    Turn("kind unknown", "plan", "config.yaml:9:12: providers.openai.kind: should be one of openrouter, openai, anthropic, gemini, none, got 'azure'", "fix this and run it again", setup=config("kind: openai", "kind: azure")),
    Turn("price without output", "plan", "config.yaml:9:46: providers.openai.price.output: is missing", "fix this and run it again", setup=config(", output: 2}", "}")),
    Turn("day that is none", "plan", "config.yaml:9:46: providers.openai.ends: should be a day such as 2026-12-01, got soon", "fix this and run it again", setup=config("model: gpt-4o-mini", "model: gpt-4o-mini, ends: soon")),
    Turn("criterion mistyped", "checks", "config.yaml:15:12: criteria.no_504: there is no criterion of this name; did you mean no_503?", "fix this and run it again", setup=config("no_503", "no_504")),
    Turn("criterion of many looks", "plan", "config.yaml:15:21: criteria.no_503.in_a_row: is no longer read: `inv checks` judges one look, and `inv watch` judges many of them", "fix this and run it again", setup=config("no_503: {}", "no_503: {in_a_row: 3}")),
    Turn("criterion renamed", "plan", "config.yaml:15:12: criteria.artifacts_work: is now answers_work", "fix this and run it again", setup=config("no_503", "artifacts_work")),
    Turn("criterion without a source", "plan", "config.yaml:15:12: criteria.provider_sees_requests: cannot be measured: it needs the provider's own usage, and migration.to is of kind openai", "fix this and run it again", setup=config("no_503", "provider_sees_requests")),
    Turn("pattern broken", "plan", "config.yaml:12:11: signals.new_route.pattern: is not a regular expression: missing ), unterminated subpattern at position 0", "fix this and run it again", setup=config("Routing to", '"(Routing"')),
    Turn("pattern with lookahead", "plan", "config.yaml:12:11: signals.new_route.pattern: uses (?=, which RE2 does not know (no lookaround, no backreference)", "fix this and run it again", setup=config("Routing to", '"(?=Routing)"')),
    Turn("usage without groups", "plan", "config.yaml:12:34: signals.usage: has none of the named groups input, output, total, cost: write (?P<input>…)", "fix this and run it again", setup=config("(?P<input>\\\\d+) out=(?P<output>\\\\d+)", "1")),
    Turn("function in both lists", "plan", "config.yaml:1:1: migration: greet cannot be both in functions and in unchanged", "fix this and run it again", setup=config("unchanged: [ping]", "unchanged: [greet]")),
    Turn("two cases of a name", "plan", "config.yaml:13:1: smoke: two cases are named hello", "fix this and run it again", setup=config(CASE, f"{CASE}\n  - {CASE}")),
    Turn("role as token", "plan", 'config.yaml:14:5: smoke.0: auth should be none, anon, user, or a token of your own as "${NAME}"', "fix this and run it again", setup=config("body: {name: Ada}", "body: {name: Ada}, auth: service_role")),
    Turn("body twice", "plan", "config.yaml:14:5: smoke.0: has both body and body_file", "fix this and run it again", setup=config("body: {name: Ada}", "body: {}, body_file: x.json")),
    Turn("query in the path", "plan", "config.yaml:14:36: smoke.0.path: should begin with / and hold no ?, # or white space (query has a key of its own), got /a?b=c", "fix this and run it again", setup=config("body: {name: Ada}", 'path: "/a?b=c"')),
    Turn("stream that expects nothing", "plan", "config.yaml:14:45: smoke.0.expect.stream: needs one of first_byte, events, last", "fix this and run it again", setup=config("body: {name: Ada}", "expect: {stream: {}}")),
    Turn("capture that no case keeps", "smoke", "Smoke case hello: no case captures id.", "add capture: {id: JSONPath} to a case", setup=config("name: Ada", 'name: "{{capture.id}}"')),
    Turn("body file not there", "smoke", "smoke case hello: cannot read ROOT/none.json: No such file or directory", "correct body_file in config.yaml then run the command again", setup=config("body: {name: Ada}", "body_file: none.json")),
    Turn("user without a password", "smoke", "Smoke case hello needs a signed-in user, and local has no auth.user.", "set auth.user in config.yaml, and its variables in .env: → inv init", setup=config("body: {name: Ada}", "auth: user")),
    Turn("duration mistyped", "plan", "config.yaml:16:8: gate.within: '10 moons' is not a duration; use for example 30s, 10m or 24h", "fix this and run it again", setup=config(OWN, f"{OWN}\ngate: {{within: 10 moons}}")),
    Turn("notifier in clear", "plan", "config.yaml:16:18: watch.notify.0: should begin with jsons://: alerts would travel in clear (json:// is for localhost)", "fix this and run it again", setup=config(OWN, f'{OWN}\nwatch: {{notify: ["json://x.example/a"]}}')),
    Turn("token not set", "plan", "SUPABASE_ACCESS_TOKEN is not set, and the project of prod needs it (environments.prod.access_token).", "set SUPABASE_ACCESS_TOKEN in .env: → inv init", setup=dotenv("SUPABASE_ANON_KEY=a\n")),
    Turn("line of .env broken", "plan", ".env:1: this line is not NAME=value", "fix .env and run it again", setup=dotenv("SUPABASE ACCESS TOKEN: x\n")),
    Turn("anon key not set", "smoke", "No anon key for this environment.", "set auth.anon_key in config.yaml, and its variable in .env: → inv init", setup=dotenv("SUPABASE_ACCESS_TOKEN=sbp_1\n")),
    Turn("app moved away", "plan", "There is no folder ROOT/app.", "set app.path in config.yaml", setup=gone("app")),
    Turn("sample app in production", "deploy --yes", "The shipped sample app is for the sandbox only.", "set app.path in config.yaml to your own repository, or pass --env sandbox", setup=lambda place: place.edit("path: app", f"path: {Path(__file__).parents[2] / 'migration/rehearsal/app'}")),
]
# fmt: on
