"""From the facts about an app to the values of its config.yaml."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from migration.base.command import AGAIN, Do
from migration.base.errors import Refused
from migration.setup.adoption import called, code, imports, judged, kinds, lines, pages, wanted
from migration.setup.adoption.app import App
from migration.setup.adoption.called import Called, Seen
from migration.setup.adoption.draft import Draft, Template, Value, Variable

_MANY = 8  # names shown in a comment
_LEFT_OUT = "is left out, because it cannot be deployed as it stands"
_FILLER = "stand-in"  # the value of a variable in a rehearsal, where nothing better is known


def fill(draft: Draft, app: App, folder: Path) -> None:
    """Set what the app says and nothing set before; `folder` is the one of config.yaml."""
    moved = _functions(draft, app)
    _repository(draft, app, folder)
    _environments(draft, app)
    variables = _variables(app, moved)
    new, old = called.by(app, moved), called.by(app, moved, before=True)
    called.fill(draft, app, moved, new, old, [*variables.needed, *variables.optional, *variables.others])
    everyone = {**old, **called.by(app, app.now)}
    _secrets(draft, variables, everyone)
    _signals(draft, app, moved)
    _smoke(draft, app, moved)
    _criteria(draft)
    _sandbox(draft, app, moved, variables, everyone)
    pages.fill(draft, app.path)
    _notices(draft, app)
    answered = {path for path in draft.values if path[0] in ("migration", "providers")}
    answered |= {("secrets",)} if draft.has("secrets") else set()
    draft.questions = [each for each in draft.questions if each.path not in answered]


def name_of(text: str) -> str:
    """A name for a migration out of a title."""
    plain = unicodedata.normalize("NFKD", text.lower()).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9.]+", "-", plain).strip("-.")[:60] or "migration"


def near(path: Path, folder: Path) -> str:
    """A path as config.yaml in `folder` names it: relative, unless it is far away."""
    relative = os.path.relpath(path, folder.resolve())
    return relative if relative.count("..") <= 3 else str(path)


def _functions(draft: Draft, app: App) -> list[str]:
    """The functions that move: those of the plan, else those that the range changed, else all."""
    draft.set(("migration", "name"), name_of(app.path.name), "the app's folder; it names the migration in messages")
    known = list(draft.get("migration", "functions") or ())
    for slug in known:
        if slug not in app.now:
            why = app.broken.get(slug) or "the app has no such function"
            draft.notice(f"{slug} is deployed by the plan, and cannot be: {why}")
    span = app.commits.range
    where = (
        f"changed in {span.base[:9]}..{span.tip[:9]}"
        if span
        else "every function: no commit has changed one since it was added"
    )
    if known and app.changed and set(known) != set(app.changed):
        further = sorted(set(app.changed) - set(known))
        without = sorted(set(known) - set(app.changed))
        if further:
            draft.notice(f"{', '.join(further)}: {where} as well ({_files(app, further)}); the plan does not deploy it")
        if without:
            draft.notice(f"{', '.join(without)}: the plan deploys it, and {where.split(' in ')[-1]} does not change it")
    if not app.now:
        reasons = "\n".join(f"  {', '.join(slugs)}: {why}" for why, slugs in _reasons(app.broken).items())
        text = f"No function of {app.path} can be deployed as it stands:\n{reasons}"
        raise Refused(text, Do("fix these first"), AGAIN)
    moved = sorted(app.changed) or sorted(app.now)
    draft.set(("migration", "functions"), moved, where)
    moved = [slug for slug in draft.get("migration", "functions") if slug in app.now]
    _unchanged(draft, app)
    others = sorted(slug for slug in app.now if slug not in moved and slug not in app.changed and slug in app.before)
    draft.set(
        ("migration", "unchanged"), others, "every other function: they must keep their source and keep answering"
    )
    return moved


def _reasons(broken: Mapping[str, str]) -> dict[str, list[str]]:
    """Each reason why functions cannot be deployed, with their names."""
    slugs: dict[str, list[str]] = {}
    for slug, why in broken.items():
        slugs.setdefault(" ".join(why.split()).removeprefix(f"{slug}: "), []).append(slug)
    return slugs


def _unchanged(draft: Draft, app: App) -> None:
    """What the plan leaves alone: those that the app has, and a notice where its commits changed one."""
    listed = draft.values.get(("migration", "unchanged"))
    if listed is None:
        return
    for slug in listed.value:
        if slug in app.changed:
            files = ", ".join(app.changed[slug][:4])
            draft.notice(f"{slug} is unchanged by the plan, but changed by the commits: {files}")
        elif slug not in app.now:
            draft.notice(f"{slug} is unchanged by the plan, and the app has no such function")
    known = [slug for slug in listed.value if slug in app.now]
    draft.values[("migration", "unchanged")] = Value(known, listed.origin)


def _files(app: App, slugs: Iterable[str]) -> str:
    files = list(dict.fromkeys(file for slug in slugs for file in app.changed[slug]))
    return ", ".join(files[:3]) + (" …" if len(files) > 3 else "")


def _repository(draft: Draft, app: App, folder: Path) -> None:
    others = f"; others with supabase/functions: {', '.join(map(str, app.others[:3]))}" if app.others else ""
    draft.set(("app", "path"), near(app.path, folder), f"the folder that holds supabase/functions{others}")
    span = app.commits.range
    if span:
        draft.set(("app", "base"), span.base, span.origin)
    else:
        draft.ask(
            ("app", "base"),
            "which revision is the one before the migration? No commit that changed a function was found",
        )
    if app.commits.remote:
        draft.set(("app", "remote"), app.commits.remote, "git remote: ledger, lock and reverts go there")
    else:
        draft.ask(
            ("app", "remote"),
            "which git remote do deploys come from? The repository has none, so the ledger stays local",
        )
    draft.set(("app", "branch"), app.commits.branch, "a deploy must be contained in this branch")
    if app.others:
        draft.ask(
            ("app", "path"),
            f"is {app.path.name} the app? {', '.join(each.name for each in app.others[:5])} has functions too",
        )


def _environments(draft: Draft, app: App) -> None:
    at = ("environments", "prod")
    if app.linked:
        draft.set((*at, "project_ref"), app.linked, "supabase/.temp/project-ref: the linked project")
    if draft.get(*at, "project_ref") is None and len(app.named) == 1:
        ref, place = next(iter(app.named.items()))
        draft.set((*at, "project_ref"), ref, f"the one project that the app names: {place}")
    if draft.get(*at, "project_ref") is None:
        places = ", ".join(f"{ref} ({place})" for ref, place in list(app.named.items())[:_MANY])
        unknown_project(draft, f". The app names {places}" if places else "")
    surroundings(draft, "prod", confirm=True)
    everywhere(draft)


def unknown_project(draft: Draft, hint: str = "") -> None:
    """Production has no ref yet: it is taken from .env, and asked for."""
    at = ("environments", "prod", "project_ref")
    draft.set(at, Variable("SUPABASE_PROJECT_REF"), "twenty letters, from the dashboard's URL")
    draft.ask(at, f"which project is production? Put its ref here, or SUPABASE_PROJECT_REF in .env{hint}")


def everywhere(draft: Draft) -> None:
    """The environments that every app has beside its own, and the key of callers."""
    draft.set(("environments", "local", "url"), "http://localhost:54321", "supabase functions serve")
    draft.set(("environments", "sandbox", "embedded"), True, "inv sandbox: keys of its own, .env is not read")
    draft.set(
        ("auth", "anon_key"), Variable("SUPABASE_ANON_KEY"), "the project's anon or publishable key, for smoke cases"
    )


def surroundings(draft: Draft, name: str, confirm: bool) -> None:
    """What every hosted environment has beside its ref."""
    at = ("environments", name)
    draft.set((*at, "url"), Template("https://{project_ref}.supabase.co"))
    draft.set((*at, "access_token"), Variable("SUPABASE_ACCESS_TOKEN"), "sbp_…, in .env")
    draft.set((*at, "confirm"), confirm, "the ref must be typed before a change" if confirm else "")


@dataclass(frozen=True)
class Variables:
    """Environment variables by name, where each is read first: those that the moved functions need, those with a value
    of their own in the text, and those that the other functions and the code before need."""

    needed: dict[str, Seen]
    optional: dict[str, Seen]
    others: dict[str, Seen]


def _variables(app: App, moved: Sequence[str]) -> Variables:
    needed: dict[str, Seen] = {}
    optional: dict[str, Seen] = {}
    others: dict[str, Seen] = {}
    for slug in app.now:
        for file, text in app.files(slug):
            for each in code.variables(file, text):
                place = optional if each.optional else needed if slug in moved else others
                place.setdefault(each.name, Seen(each.file, each.line))
    for slug in moved:
        for file, text in app.files(slug, before=True):
            for each in code.variables(file, text):
                if not each.optional:
                    others.setdefault(each.name, Seen(each.file, each.line))
    for slug in {*app.now, *app.before}:
        for file, text in (*app.files(slug), *app.files(slug, before=True)):
            for name, line in code.numbered(text):
                others.setdefault(name, Seen(file, line))
    rest = {name: seen for name, seen in others.items() if name not in needed}
    return Variables(needed, {name: seen for name, seen in optional.items() if name not in needed}, rest)


def _secrets(draft: Draft, variables: Variables, everyone: Mapping[str, Called]) -> None:
    for name, seen in variables.needed.items():
        kind = kinds.of_variable(name)
        provider = called.of_key(name, everyone) or (kind.name if kind else "")
        if provider and draft.get("providers", provider, "kind"):
            draft.set(("secrets", name, "provider"), provider)
        if not any(path[:2] == ("secrets", name) for path in draft.values):
            draft.set(("secrets", name), {}, f"read in {seen}; its value goes nowhere but into the project")
    known = {path[1] for path in draft.values if path[0] == "secrets"}
    for name in (name for name in variables.optional if name not in known):
        draft.sketch(("secrets",), [f"{name}: {{}} # read in {variables.optional[name]}, which goes on without it"])


def _signals(draft: Draft, app: App, moved: Sequence[str]) -> None:
    new = [call for slug in moved for file, text in app.files(slug) for call in code.logs(file, text)]
    old = [call for slug in moved for file, text in app.files(slug, before=True) for call in code.logs(file, text)]
    texts = {call.text for call in new}, {call.text for call in old}
    for name, calls, others in (("new_route", new, texts[1]), ("old_route", old, texts[0])):
        if draft.get("signals", name) is None:
            ranked = [(lines.distinct(call.text, others), call) for call in lines.routes(calls)]
            route = next(((pattern, call) for pattern, call in ranked if pattern), None)
            if route:
                draft.set(("signals", name), route[0], f"logged in {route[1].file}:{route[1].line}")
            else:
                which = "new" if name == "new_route" else "old"
                draft.ask(
                    ("signals", name),
                    f"which log line does only the {which} code write? None that looks like a route was found",
                )
    if draft.get("signals", "usage") is None:
        usage = next((route for call in new if (route := lines.usage(call))), None)
        if usage:
            draft.set(("signals", "usage"), usage[0], f"logged in {usage[1].file}:{usage[1].line}")
        elif draft.get("migration", "to"):
            draft.ask(
                ("signals", "usage"), "which log line holds the tokens of a request? Without it there are no costs"
            )


def _smoke(draft: Draft, app: App, moved: Sequence[str]) -> None:
    covered = {case["function"].value for case in draft.get("smoke") or ()}
    bare = [slug for slug in moved if slug not in covered]
    if not bare:
        return
    draft.ask(
        ("smoke",),
        f"which request shows that {', '.join(bare[:_MANY])} works? Until there is one, a deploy ends unproven",
    )
    if not covered:
        draft.sketches[("smoke",)] = ["smoke:"]
    for slug in bare[:_MANY]:
        draft.sketch(
            ("smoke",), [f"  - {{name: {slug}, function: {slug}{_request(app, slug)}, expect: {{status: 200}}}}"]
        )
    if any(wanted.signed_in(text for _, text in app.files(slug)) for slug in app.now):
        person = 'user: {email: "${SMOKE_USER_EMAIL}", password: "${SMOKE_USER_PASSWORD}"}'
        draft.sketch(("auth",), [f"{person} # who signs in where a case says `auth: user`; the sandbox has its own"])


def _request(app: App, slug: str) -> str:
    """What the code of a function says of its requests, as keys of a smoke case."""
    texts = [text for _, text in app.files(slug)]
    takes = {
        "query": next(filter(None, map(wanted.query_names, texts)), []),
        "body": next(filter(None, map(wanted.body_names, texts)), []),
    }
    method = "" if takes["body"] else wanted.method(texts)
    parts = [f"method: {method}"] if method else []
    parts += ["auth: user"] if wanted.signed_in(texts) else []
    parts += [f"{key}: {{{', '.join(f'{name}: …' for name in names)}}}" for key, names in takes.items() if names]
    return "".join(f", {part}" for part in parts)


def _criteria(draft: Draft) -> None:
    """What holds for any app, where no plan says when the migration is a success."""
    if draft.has("criteria") or any(each.path[0] == "criteria" for each in draft.questions):
        return
    answered = "what smoke cases and soaks sent was answered as expected"
    if draft.get("smoke"):
        draft.set(("criteria", "answers_work"), {}, answered)
    else:
        draft.sketch(("criteria",), [f"answers_work: {{}} # {answered}: add it with the first smoke case"])
    draft.set(("criteria", "no_503"), {}, "callers got no 503")
    draft.set(("criteria", "no_errors_in_logs"), {}, "no error, no crash, no function that does not start")
    if draft.get("migration", "unchanged"):
        draft.set(("criteria", "unchanged"), {}, "migration.unchanged: the same source, still answering")
        judged.advise(draft)
    further = [
        "success_rate: {at_least: 0.99, reject: 0.95} # settled by inv soak",
        "response_time: {p95: 8} # seconds",
    ]
    if draft.get("signals", "usage"):
        further.append("cost_logged: {at_least: 1.0} # every answer has its line of signals.usage")
        further.append("cost_per_request: {mean: 0.005} # USD, by signals.usage and the price of migration.to")
    draft.sketch(("criteria",), further)


def _sandbox(
    draft: Draft, app: App, moved: Sequence[str], variables: Variables, everyone: Mapping[str, Called]
) -> None:
    """Hosts of the code as it is, and of what the moved functions were: a rehearsal runs both."""
    hosts: dict[str, Seen] = {}
    texts = [each for slug in app.now for each in app.files(slug)]
    texts += [each for slug in moved for each in app.files(slug, before=True)]
    answered = {each.host for each in everyone.values()}
    for path, text in texts:
        for host, file, line in code.hosts(path, text):
            if host not in answered and not host.endswith((".supabase.co", "deno.land", "esm.sh")):
                hosts.setdefault(host, Seen(file, line))
    for path, text in texts:
        for each in code.imports(path, text):
            if (host_of := kinds.HOSTS.get(imports.package(each.address), "")) and host_of not in answered:
                hosts.setdefault(host_of, Seen(each.file, each.line))
    _hosts(draft, hosts)
    _backend(draft, texts)
    _fillers(draft, variables, everyone)
    further = ['baseline: {statuses: {"503": [0.2, 0.8]}} # the share that each status must have in the code before']
    for kind in list(dict.fromkeys(each.kind for each in everyone.values()))[:1]:
        program = '{error_rate: {"503": 0.5}, seed: 7}'
        program = f"{{pro: {program}}}" if kind == "gemini" else program
        further.append(f"providers: {{{kind}: {program}}} # a fault program; rehearsal.hosts takes the same keys")
    draft.sketch(("rehearsal",), further)


def _hosts(draft: Draft, hosts: Mapping[str, Seen]) -> None:
    for host, seen in hosts.items():
        draft.set(("rehearsal", "hosts", host), {"answers": []}, f"called in {seen}")
    if hosts:
        names = ", ".join(list(hosts)[:_MANY])
        text = f"what does {names} answer? Each takes {{method, path, status, json}}; until then it answers 404"
        draft.ask(("rehearsal", "hosts"), text)


def _backend(draft: Draft, texts: Iterable[tuple[str, str]]) -> None:
    """Tables, answers and buckets of the sandbox's own database and storage, still empty."""
    places: dict[str, tuple[tuple[str, ...], Any]] = {
        "table": (("rehearsal", "database", "tables"), []),
        "rpc": (("rehearsal", "database", "rpc"), []),
        "bucket": (("rehearsal", "storage"), {}),
    }
    seen: dict[str, None] = {}
    for file, text in texts:
        for kind, name, line in code.backend(text):
            path, empty = places[kind]
            if draft.get(*path, name) is None:
                draft.set((*path, name), empty, f"asked for in {Seen(file, line)}")
                seen[name] = None
    if seen:
        names = ", ".join(list(seen)[:_MANY])
        draft.ask(("rehearsal", "database"), f"which rows has {names}? Empty ones answer no row; see docs/sandbox.md")


def _fillers(draft: Draft, needs: Variables, everyone: Mapping[str, Called]) -> None:
    """Values for what only the sandbox must set: keys of providers by kind, anything else as a word."""
    keys: dict[str, list[str]] = {}
    plain: list[str] = []
    for name in needs.others:
        provider = everyone.get(called.of_key(name, everyone))
        kind = kinds.of_variable(name)
        if provider or kind:
            keys.setdefault(provider.kind if provider else kind.name if kind else "", []).append(name)
        else:
            plain.append(name)
    for kind_name, names in keys.items():
        seen = needs.others[names[0]]
        draft.set(("rehearsal", "keys", kind_name), names, f"read in {seen}; not a secret of the migration")
    if plain:
        variables = dict.fromkeys(plain, _FILLER)
        draft.set(
            ("rehearsal", "variables"), variables, f"read in {needs.others[plain[0]]}; not a secret of the migration"
        )


def _notices(draft: Draft, app: App) -> None:
    for why, slugs in _reasons(app.broken).items():
        left = "are left out, because they cannot be deployed as they stand" if len(slugs) > 1 else _LEFT_OUT
        draft.notice(f"{', '.join(slugs)} {left}: {why}")
    for slug in app.disabled:
        draft.notice(f"{slug} is left out: supabase/config.toml disables it")
    span = app.commits.range
    for slug in app.removed:
        draft.notice(f"{slug} is gone since {span.base[:9] if span else 'then'}: a deploy removes nothing")
    opened = sorted(slug for slug in app.now if app.verify_jwt.get(slug) is False)
    if opened:
        draft.notice(
            f"verify_jwt = false, so anyone may call: {', '.join(opened[:_MANY])}{' …' if len(opened) > _MANY else ''}"
        )
    for name in app.sql:
        draft.notice(f"{name} is in the range: Cutover names it in plan and deploy, and does not apply it")
    for note in app.commits.notes:
        draft.notice(note)
