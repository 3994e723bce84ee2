"""A day's work with the real CLI: more than sixty commands in a row, each with its exit code and what it must say."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import pytest

from tests.migration.rehearsal.test_real_cli import INDEX, PLAIN, SHARED, Bench, bench, executable

__all__ = ["bench", "executable"]  # the fixtures

TYPES = """import type { Order } from "../_types/order.ts";
import { greeting } from "../_shared/greeting.ts";
Deno.serve(() => Response.json({ id: greeting } satisfies Order));
"""
MAPPED, A = 'import { a } from "a";\nDeno.serve(() => new Response(a));\n', 'export const a = "a";\n'
BROKEN = "Deno.serve(() => new Response(\n"
HELLO, ALPHA = "supabase/functions/hello/index.ts", "supabase/functions/alpha/index.ts"
TOML = 'project_id = "demo"\n'
AUTH = '[auth]\nsite_url = "https://shop.example"\nadditional_redirect_urls = []\n'


@dataclass(frozen=True)
class Step:
    """What is written first, the command, how it ends, and what stands in its output."""

    command: str
    says: str = ""
    code: int = 0
    files: dict[str, str] = field(default_factory=dict)


def step(command: str, says: str = "", code: int = 0, **files: str) -> Step:
    """`files` by short names, see NAMES."""
    return Step(command, says, code, {NAMES[name]: text for name, text in files.items()})


NAMES = {
    "hello": HELLO, "alpha": ALPHA, "beta": "supabase/functions/beta/index.ts", "toml": "supabase/config.toml",
    "shared": "supabase/functions/_shared/greeting.ts", "a": "supabase/functions/_shared/a.ts",
    "typed": "supabase/functions/typed/index.ts",
    "map": "supabase/functions/alpha/deno.json", "env": "more.env",
}  # fmt: skip
DEPLOY = "functions deploy {} --use-api --yes"
SESSION = [
    step("whoami", "@sandbox.example"),
    step("orgs list", "sandbox"),
    step("orgs list --output-format json", '"sandbox"'),
    step("projects list", "Cutover sandbox"),
    step("projects list -o json", '"status": "ACTIVE_HEALTHY"'),
    step("projects list --output-format json", "eu-central-1"),
    step("link REF --yes", "Finished"),
    step("projects api-keys", "anon"),
    step("projects api-keys -o json", "····"),
    step("projects api-keys --reveal -o json", "sb_secret_"),
    step("projects api-keys --reveal -o env", "SUPABASE_ANON_KEY="),
    step("branches list", "GIT BRANCH"),
    step("branches list -o json", "[]"),
    step("branches create more --yes", "no stand-in for preview branches", 1),
    step("branches get main", "no stand-in for preview branches", 1),
    step("branches update main --name next", "no stand-in for preview branches", 1),
    step("branches pause main", "no stand-in for preview branches", 1),
    step("branches delete main --yes", "no stand-in for preview branches", 1),
    step("branches disable --yes", "no stand-in for preview branches", 1),
    step("projects create two --org-id sandbox --db-password abcdefgh1 --region eu-central-1 --yes",
         "no stand-in for further projects", 1),
    step("projects delete REF --yes", "has one project, which stays", 1),
    step("orgs create two --yes", "no stand-in for further organizations", 1),
    step("functions list", "SLUG"),
    step("functions list -o json", "[]"),
    step(DEPLOY.format("hello"), "Deployed Functions", hello=INDEX, shared=SHARED),
    step("functions list", "hello"),
    step("functions list --output-format json", '"version":1'),
    step(DEPLOY.format("hello"), "Deployed Functions", shared='export const greeting = "hello";\n'),
    step("functions list --output-format json", '"version":2'),
    step("functions download hello --use-api", "Downloaded Function hello"),
    step("functions download hello", "Downloaded Function hello"),
    step(DEPLOY.format("alpha beta"), "alpha, beta", alpha=PLAIN, beta=PLAIN),
    step("functions list --output-format json", '"slug":"beta"'),
    step(DEPLOY.format("alpha"), "Deployed Functions", alpha=MAPPED, map='{"imports": {"a": "../_shared/a.ts"}}', a=A),
    step(DEPLOY.format("alpha"), "Deployed Functions", alpha=PLAIN, map='{"imports": {}}'),
    step(DEPLOY.format("beta"), "Failed to bundle", 1, beta=BROKEN),
    step("functions list --output-format json", '"slug":"beta"'),
    step(DEPLOY.format("beta"), "Deployed Functions", beta=PLAIN),
    step(DEPLOY.format("typed"), "Deployed Functions", typed=TYPES),  # its types' file is in no upload
    step("functions download typed --use-api", "Downloaded Function typed"),
    step(DEPLOY.format("beta --no-verify-jwt"), "Deployed Functions"),
    step("functions list --output-format json", '"verify_jwt":false'),
    step(DEPLOY.format("ghost"), "Entrypoint path does not exist", 1),
    step("functions delete alpha --yes", "Deleted"),
    step("functions delete alpha --yes", "", 1),
    step("functions download alpha --use-api", "", 1),
    step("functions list --output-format json", '"slug":"hello"'),
    step("functions download --use-api", "Successfully downloaded"),
    step("secrets list", "DIGEST"),
    step("secrets set A=1 B=two --yes", "Finished"),
    step("secrets list --output-format json", '"name":"A"'),
    step("secrets set --env-file more.env --yes", "Finished", env="C=3\nD=four words\n"),
    step("secrets list -o json", "\"D\""),
    step("secrets set SUPABASE_X=1 --yes", "cannot start with SUPABASE_", 1),
    step("secrets unset A --yes", "Finished"),
    step("secrets unset B C D --yes", "Finished"),
    step("config diff", "site_url", toml=TOML + AUTH),
    step("config push --yes", "Auth"),
    step("config diff", "Comparing against", toml=TOML + AUTH),
    step("config push --yes", "Remote Auth config is up to date."),
    step("config push --yes", "API", toml=TOML + "[api]\nmax_rows = 50\n"),
    step("config push --yes", "Remote API config is up to date."),
    step("backups list", "REGION"),
    step("network-restrictions get --experimental", "0.0.0.0/0"),
    step("network-restrictions update --db-allow-cidr 8.8.8.0/24 --experimental --yes", "8.8.8.0/24"),
    step("network-restrictions get --experimental", "8.8.8.0/24"),
    step("ssl-enforcement get --experimental", "NOT"),
    step("ssl-enforcement update --enable-db-ssl-enforcement --experimental --yes", "SSL is being enforced"),
    step("ssl-enforcement get --experimental", "SSL is being enforced"),
    step("postgres-config update --config max_connections=50 --experimental --yes", "50"),
    step("postgres-config get --experimental", "max_connections"),
    step("network-bans get --experimental", "[]"),
    step("snippets list", "VISIBILITY"),
    step("snippets download 3d585d23-1075-4e6e-8eac-a6c72390ebff", "no stand-in for saved SQL", 1),
    step("notebooks pull --yes", "no stand-in for notebooks", 1),
    step("functions deploy hello --prune --use-api --yes", "Deleting Function"),
    step("logs --since 1h", "", 0),
    step("vanity-subdomains get --experimental", "no stand-in for vanity subdomains", 1),
    step("vanity-subdomains check-availability --desired-subdomain abc --experimental", "no stand-in for vanity", 1),
    step("domains get", "no stand-in for custom domains", 1),
    step("encryption get-root-key --experimental", "no stand-in for the root key", 1),
    step("gen types", "no stand-in for types of a database", 1),
    step("gen types typescript --schema public", "no stand-in for types of a database", 1),
    step("db advisors", "no stand-in for advisors", 1),
    step("backups restore -t 1700000000 --yes", "no stand-in for backups that can be restored", 1),
    step("network-bans remove --db-unban-ip 8.8.8.8 --experimental --yes", "no stand-in for bans", 1),
]  # fmt: skip
_WITHOUT_PROJECT = ("whoami", "orgs", "projects list", "projects create", "projects delete", "link")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_long_session(bench: Bench) -> None:
    """All commands work as on the platform, or fail in words that name what has no stand-in."""
    assert len(SESSION) >= 60
    wrong = [problem for number, each in enumerate(SESSION, 1) if (problem := _problem(bench, number, each))]
    assert not wrong, "\n".join(wrong)


def _problem(bench: Bench, number: int, each: Step) -> str:
    bench.write(each.files)
    words = each.command.replace("REF", bench.sandbox.project_ref).split()
    done = bench.cli.run(words, bench.root) if each.command.startswith(_WITHOUT_PROJECT) else bench.run(*words)
    output = re.sub(r"\s+", " ", f"{done.stdout} {done.stderr}")
    if done.code == each.code and each.says in output:
        return ""
    return f"{number}. {each.command}: {done.code}, without {each.says!r}\n   {output[:600]}"
