"""From a written plan to values of a config.yaml: what is deployed, where, with which keys, which requests."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from migration.setup.adoption import fromapp, judged, kinds, lines, providers, requests, shell, words
from migration.setup.adoption.document import Block, Line, in_plan
from migration.setup.adoption.draft import Draft, Value, Variable
from migration.setup.adoption.requests import Request

_PATH = re.compile(r"supabase[/\\]functions[/\\]([A-Za-z][\w-]*)(?:[/\\]|\b)")
_SLUG = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_DEPLOY = re.compile(r"supabase(?:@\S+)? functions deploy\b(?P<rest>[^&|;\n`]*)")
_SAID = re.compile(r"supabase(?:@\S+)? functions deploy +(?!-)[A-Za-z][\w-]*")
_SET = re.compile(r"supabase(?:@\S+)? secrets set\b(?P<rest>[^&|;\n`]*)")
_ASSIGNED = re.compile(r"(?<![\w$])(?P<name>[A-Z][A-Z0-9]*_[A-Z0-9_]+)\s*=\s*[\"']?(?P<value>[^\s\"'`]*)")
_NAME = re.compile(r"[A-Z][A-Z0-9]*_[A-Z0-9_]+")
_REF = re.compile(
    r"https?://(?P<url>[a-z]{20})\.(?:functions\.)?supabase\.co|--project-ref[= ]+(?P<flag>[a-z]{20})\b|"
    r"dashboard/project/(?P<page>[a-z]{20})\b|project[ _-]?(?:ref|id)?\W{1,4}(?P<word>[a-z]{20})\b|"
    r"`(?P<code>[a-z]{20})`",
    re.IGNORECASE,
)
_TAKES = {"--project-ref", "--import-map", "--workdir", "--profile", "--jobs"}
_PLACEHOLDERS = re.compile(r"(?i)^(?:function-?name|your-\w+|my-function|name|slug|xxx+)$")
_FILLED_IN = re.compile(r"(?i)(?:your|my|new|xxx|\.\.\.|…|\*|<|insert|here|replace|paste|dein|tu-|votre|key$).*$")


def fill(draft: Draft, blocks: Sequence[Block], file: Path, folder: Path) -> None:
    """Set what the plan says; `folder` is the one of config.yaml."""
    title = next((block for block in blocks if block.kind == "heading"), None)
    words_ = re.sub(
        r"(?i)\b(?:migration|deployment|rollout|release|implementation)?\s*plan\b.*", "", title.text if title else ""
    )
    draft.set(
        ("migration", "name"), fromapp.name_of(words_ or file.stem), in_plan(title.line) if title else "the file's name"
    )
    _functions(draft, blocks)
    providers.fill(draft, blocks)
    _secrets(draft, blocks)
    _projects(draft, blocks)
    _smoke(draft, blocks)
    judged.fill(draft, blocks)
    _tools(draft, blocks)
    draft.set(("migration", "plan"), fromapp.near(file.resolve(), folder), "the report ticks its items")
    items = judged.items(draft, blocks)
    draft.set(("migration", "items"), items or None, "which verb or criterion answers which line")


def commands(blocks: Sequence[Block]) -> Iterator[tuple[Block, Line]]:
    """Every command of a fence, and what stands in backticks, with its block."""
    for block in blocks:
        yield from ((block, line) for line in block.lines if line.kind == "command")
        yield from ((block, Line("command", code, block.line)) for code in block.codes)


# Functions


def _functions(draft: Draft, blocks: Sequence[Block]) -> None:
    deployed, modified, unchanged = (
        _deployed(draft, blocks),
        _listed(blocks, words.MODIFIED),
        _listed(blocks, words.UNCHANGED),
    )
    both = [slug for slug in unchanged if slug in deployed or slug in modified]
    for slug in both:
        line = deployed.get(slug) or modified[slug]
        draft.notice(
            f"{slug}: line {line} deploys or changes it, line {unchanged[slug]} lists "
            f"it as unchanged; taken as unchanged"
        )
    wanted = {slug: line for slug, line in {**deployed, **modified}.items() if slug not in unchanged}
    for slug in modified:
        if deployed and slug not in deployed and slug not in unchanged:
            draft.notice(f"{slug}: line {modified[slug]} changes it, and no command deploys it; it is taken in")
    if wanted:
        draft.set(("migration", "functions"), list(wanted), f"named in {in_plan(*wanted.values())}")
    else:
        draft.ask(
            ("migration", "functions"), "which functions are deployed? The plan names none in a command or a path"
        )
    if unchanged:
        draft.set(("migration", "unchanged"), list(unchanged), f"left alone by {in_plan(*unchanged.values())}")
    else:
        draft.ask(("migration", "unchanged"), "which functions must stay as they are? The plan names none")


def _deployed(draft: Draft, blocks: Sequence[Block]) -> dict[str, int]:
    deployed: dict[str, int] = {}
    known = shell.variables(blocks)
    for block, line in (*commands(blocks), *_plain(blocks)):
        for match in _DEPLOY.finditer(line.text):
            aside = words.TROUBLE.search(block.context) or words.ROLLBACK.search(block.context)
            slugs = _arguments(match["rest"], known)
            if not slugs and not aside and block.kind == "fence":
                draft.ask(
                    ("migration", "functions"),
                    f"line {line.line} deploys every function: which ones does the migration change?",
                )
            for slug in slugs if not aside else ():
                deployed.setdefault(slug, line.line)
    return deployed


def _plain(blocks: Sequence[Block]) -> Iterator[tuple[Block, Line]]:
    """Deploys that stand in a sentence, without backticks: up to their first function, since words may follow."""
    for block in blocks:
        for match in _SAID.finditer(block.text) if block.kind != "fence" else ():
            if not any(match[0] in code for code in block.codes):
                yield block, Line("command", match[0], block.line + block.text.count("\n", 0, match.start()))


def _arguments(text: str, known: Mapping[str, list[str]]) -> list[str]:
    """The functions that a deploy command names; `known` holds the words of shell variables."""
    slugs: list[str] = []
    skip = False
    for part in text.split("#")[0].split():
        if skip:
            skip = False
        elif part.startswith("-"):
            skip = part in _TAKES
        else:
            named = [word.strip("\"'") for word in shell.filled(part, known)]
            slugs += [word for word in named if _SLUG.fullmatch(word) and not _PLACEHOLDERS.match(word)]
    return list(dict.fromkeys(slugs))


def _listed(blocks: Sequence[Block], wanted: re.Pattern[str]) -> dict[str, int]:
    """Functions of paths and lists in a part about what is modified, or what stays."""
    other = words.UNCHANGED if wanted is words.MODIFIED else words.MODIFIED
    listed: dict[str, int] = {}
    for block in blocks:
        if (
            block.kind not in ("item", "row", "text")
            or words.TROUBLE.search(block.context)
            or words.ROLLBACK.search(block.context)
        ):
            continue
        if _refused(block):
            named = _named(block, strict=True) if wanted is words.UNCHANGED else []
            listed |= {slug: block.line for slug in named if slug not in listed}
            continue
        near = next((part for part in reversed(block.above) if wanted.search(part) or other.search(part)), "")
        here = bool(near) and bool(_mostly(near, wanted))
        said = wanted is words.UNCHANGED and bool(wanted.search(block.text))
        if block.kind == "text" and not said:
            continue
        if said or (here and not (wanted is words.MODIFIED and words.UNCHANGED.search(block.text))):
            for slug in _named(block, said):
                listed.setdefault(slug, block.line)
    return listed


def _refused(block: Block) -> bool:
    """A row whose cell below a heading such as `Deploy?` says no."""
    return any(words.DEPLOYS.search(head) and words.NOT.search(cell)
               for head, cell in zip(block.header[1:], block.cells[1:], strict=False))  # fmt: skip


def _mostly(text: str, wanted: re.Pattern[str]) -> bool:
    """Whether a heading is about `wanted`; one that says both, as `unchanged files` does, is about what stays."""
    return bool(wanted.search(text)) and not (wanted is words.MODIFIED and bool(words.UNCHANGED.search(text)))


def _named(block: Block, strict: bool) -> list[str]:
    """The functions that a line names: by path, in backticks, or as its first word."""
    paths = [slug for slug in _PATH.findall(block.text) if not slug.startswith("_")]
    if paths or "/" in " ".join(block.codes):
        return list(dict.fromkeys(paths))
    codes = [code for code in block.codes if re.fullmatch(r"[a-z][a-z0-9-]*(?:_[a-z0-9-]+)*", code)]
    if codes:
        return codes
    first = block.cells[0] if block.cells else block.text
    match = re.match(r"([a-z][a-z0-9]*(?:-[a-z0-9]+)+|[a-z][a-z0-9_]+)(?=\s*(?:[:(–—,]|-\s|$))", first.strip())
    return [match[1]] if match and not (strict and block.kind == "text") else []


# Secrets


def _secrets(draft: Draft, blocks: Sequence[Block]) -> None:
    secrets: dict[str, tuple[int, list[str]]] = {}

    def add(name: str, line: int, value: str = "") -> None:
        if not name.startswith(("SUPABASE_", "SB_")):
            known = secrets.setdefault(name, (line, []))
            known[1].extend([value] if value else [])

    for _, line in commands(blocks):
        for match in _SET.finditer(line.text):
            for part in _ASSIGNED.finditer(match["rest"]):
                add(part["name"], line.line, part["value"])
            if "--env-file" in match["rest"]:
                draft.ask(("secrets",), f"line {line.line} sets secrets from a file: which names does it hold?")
    for block in blocks:
        about = words.SECRETS.search(f"{block.context} {block.text if block.kind != 'fence' else ''}")
        if not about:
            continue
        for code in block.codes:
            if _NAME.fullmatch(code):
                add(code, block.line)
        if block.kind in ("row", "item"):
            for cell in block.cells[:1] or [block.text.split(":")[0].split(" ")[0]]:
                if _NAME.fullmatch(cell.strip()):
                    add(cell.strip(), block.line)
        for line in block.lines:
            for part in (
                _ASSIGNED.finditer(line.text)
                if line.kind != "command" or "echo" in line.text or "$env:" in line.text
                else ()
            ):
                if not part["name"].endswith("_URL"):
                    add(part["name"], line.line, part["value"])
            shown = re.match(r"\s*([A-Z][A-Z0-9]*_[A-Z0-9_]+)\s*[:|]\s*(\S*)", line.text)
            if shown and line.kind == "output":
                add(shown[1], line.line, shown[2])
    for name, (number, values) in secrets.items():
        kind = kinds.of_variable(name)
        known = kind and draft.get("providers", kind.name, "kind")
        at = ("secrets", name)
        if known and kind:
            draft.set((*at, "provider"), kind.name, in_plan(number))
            draft.set(
                ("providers", kind.name, "key"),
                Variable(name),
                "asked for its limit and credit, where the kind can say so",
            )
        form = _form(values)
        if form:
            draft.set((*at, "format"), f"^{lines.escaped(form)}", "how the plan's examples begin")
        if not known and not form:
            draft.set(at, {}, in_plan(number))
    if not secrets:
        draft.ask(("secrets",), "which secrets do the functions need? The plan names none")


def _form(values: Sequence[str]) -> str:
    """What the examples of a key have in common before the part that is filled in."""
    heads = [_FILLED_IN.sub("", value) for value in values if value and not value.startswith("$")]
    common = _common(heads)
    return common if re.search(r"[-_]$", common) and len(common) > 2 else ""


def _common(texts: Sequence[str]) -> str:
    """The characters with which all texts begin."""
    shortest = min(texts, key=len, default="")
    return next((shortest[:n] for n, each in enumerate(shortest) if any(text[n] != each for text in texts)), shortest)


# Projects


def _projects(draft: Draft, blocks: Sequence[Block]) -> None:
    projects: dict[str, tuple[str, int]] = {}
    for block in blocks:
        pieces = [(line.text, line.line) for line in block.lines] or [(block.text, block.line)]
        for text, number in [*pieces, *((f"`{code}`", block.line) for code in block.codes)]:
            for match in _REF.finditer(text):
                ref = next(part for part in match.groups() if part).lower()
                place = _place(text, block)
                if ref not in projects or (place and not projects[ref][0]):
                    projects[ref] = (place, number)
    named = {place: (ref, line) for ref, (place, line) in reversed(projects.items()) if place}
    loose = [(ref, line) for ref, (place, line) in projects.items() if not place]
    if "prod" not in named and loose:
        named["prod"] = loose.pop(0)
    for ref, line in loose:
        draft.notice(
            f"the project {ref} of line {line} is neither production nor named: add it to environments if it is needed"
        )
    ordered = sorted(named, key=lambda place: place != "prod")
    for place in ordered:
        at = ("environments", place)
        draft.set((*at, "project_ref"), named[place][0], in_plan(named[place][1]))
        fromapp.surroundings(draft, place, confirm=place == "prod")
    if "prod" not in named:
        fromapp.unknown_project(draft)
        fromapp.surroundings(draft, "prod", confirm=True)
    fromapp.everywhere(draft)


def _place(text: str, block: Block) -> str:
    """The environment that the nearest words name: the line's, then the label's, then the headings'."""
    column = [
        head
        for head, cell in zip(block.header, block.cells, strict=False)
        if _REF.search(cell) or re.search(r"\b[a-z]{20}\b", cell)
    ]
    for part in (text, *block.cells, *column, *reversed(block.above)):
        if words.PROD.search(part):
            return "prod"
        match = words.PLACES.search(part)
        if match:
            return {"stage": "staging", "development": "dev"}.get(match[1].lower(), match[1].lower())
    return ""


# Smoke cases


def _smoke(draft: Draft, blocks: Sequence[Block]) -> None:
    cases: list[dict[str, Value]] = []
    seen: list[Request] = []
    for place, block in enumerate(blocks):
        spans = block.lines or tuple(Line("command", code, block.line) for code in block.codes)
        for number, line in enumerate(spans):
            if line.kind != "command" or words.TROUBLE.search(block.context):
                continue
            try:
                request = requests.parse(line.text)
            except ValueError as error:
                draft.notice(f"line {line.line} is a request that cannot be read: {error}")
                continue
            if request and not any(_same(request, other) for other in seen):
                seen.append(request)
                cases.append(_case(draft, request, line, block, number, blocks[place + 1 :], cases))
        if block.kind == "fence" and block.info in _SCRIPTS and not words.TROUBLE.search(block.context):
            for request, offset in requests.in_code(block.text):
                if not any(_same(request, other) for other in seen):
                    seen.append(request)
                    line = Line("command", "", block.line + offset)
                    cases.append(_case(draft, request, line, block, len(block.lines), blocks[place + 1 :], cases))
    if cases:
        draft.set(("smoke",), cases, "")
    else:
        moved = draft.get("migration", "functions") or []
        draft.ask(
            ("smoke",),
            (
                "which request shows that it works? The plan has none that names a function; "
                "until there is one, a deploy ends unproven"
            ),
        )
        draft.sketch(
            ("smoke",),
            [
                "smoke:",
                *(f"  - {{name: {slug}, function: {slug}, body: {{}}, expect: {{status: 200}}}}" for slug in moved),
            ],
        )
    if any(case["auth"].value == "user" for case in cases if "auth" in case):
        user = {"email": Variable("SMOKE_USER_EMAIL"), "password": Variable("SMOKE_USER_PASSWORD")}
        draft.set(("auth", "user"), user, "a request of the plan comes from a signed-in user")
        draft.ask(
            ("auth", "user"),
            "which user signs in? Create one for smoke tests: SMOKE_USER_EMAIL and SMOKE_USER_PASSWORD in .env",
        )


_SCRIPTS = ("js", "javascript", "ts", "typescript", "jsx", "tsx", "mjs")


def _same(one: Request, other: Request) -> bool:
    return (one.slug, one.method, one.path, one.query, one.body, one.auth) == (
        other.slug,
        other.method,
        other.path,
        other.query,
        other.body,
        other.auth,
    )


def _case(
    draft: Draft,
    request: Request,
    line: Line,
    block: Block,
    number: int,
    following: Sequence[Block],
    cases: Sequence[dict[str, Value]],
) -> dict[str, Value]:
    case: dict[str, Value] = {
        "name": Value(_case_name(block, number, request, cases), in_plan(line.line)),
        "function": Value(request.slug),
    }
    status, shape, origin = _expected(block, number, following)
    if request.method != "POST":
        case["method"] = Value(request.method)
    for key, value in (("path", request.path), ("query", request.query)):
        if value:
            case[key] = Value(value)
    if request.headers:
        case["headers"] = Value(request.headers)
    auth = request.auth or ("none" if status == 401 else "")
    if auth:
        case["auth"] = Value(Variable(auth[1:]) if auth.startswith("$") else auth)
    if request.body_file:
        case["body_file"] = Value(request.body_file)
    elif request.body is not None:
        case["body"] = Value(request.body)
    expect: dict[str, object] = {"status": status or 200}
    if shape:
        expect["json"] = shape
    case["expect"] = Value(expect, origin)
    if not origin:
        draft.ask(
            ("smoke", str(case["name"].value)), f"what must the answer to line {line.line} hold? The plan does not say"
        )
    return case


def _case_name(block: Block, number: int, request: Request, cases: Sequence[dict[str, Value]]) -> str:
    before = block.lines[number - 1] if number and block.lines else None
    label = before.text if before and before.kind == "remark" else next(iter(reversed(block.above)), "")
    bare = re.sub(
        (
            r"(?i)^\W*(?:step|schritt|paso|étape|fase|phase)?\s*\d*\s*[:.)-]*\s*|\btest(?:ing|"
            r"s)?\b|\bthe\b|\bin production\b"
        ),
        " ",
        label,
    )
    name = fromapp.name_of(bare)[:40].strip("-")
    name = name if 1 < len(name.split("-")) < 8 else request.slug
    taken = {case["name"].value for case in cases}
    return next(each for each in (name, request.slug, *(f"{name}-{n}" for n in range(2, 99))) if each not in taken)


_STATUS = re.compile(
    r"(?im)(?:HTTP(?:/[\d.]+)?|status(?: ?code)?|→|->|=>|returns?|expect\w*|answers?|code|mit|erwartet|devuelve|"
    r"renvoie|liefert|^)\W{0,4}([1-5]\d\d)\b|\b([1-5]\d\d)\b(?= (?:OK|Created|Accepted|No Content|Bad|Unauthori|"
    r"Forbidden|Not Found|Method|Too Many|Internal))"
)


def _expected(block: Block, number: int, following: Sequence[Block]) -> tuple[int, dict[str, object], str]:
    """Status, shape and origin of the expected answer: in the same fence below the request, else in what follows it."""
    if not block.lines:  # in backticks: the words beside it
        status, _, origin = _read(" ".join(block.text.replace(code, " ") for code in block.codes), block.line)
        return status, {}, origin if status else ""
    rest: list[Line] = []
    for line in block.lines[number + 1 :]:
        if line.kind == "command":
            break
        rest.append(line)
    text = "\n".join(line.text for line in rest)
    # Statuses stand in words; within JSON a number is no status.
    if rest and (words.EXPECTED.search(text) or requests.answer(text) or _STATUS.search(text)):
        return _read(text, rest[0].line)
    if any(line.kind == "command" and requests.parse_safely(line.text) for line in block.lines[number + 1 :]):
        return 0, {}, ""
    status, label, origin = 0, "", ""
    for each in following[:4]:
        if each.kind == "heading" or (each.kind == "fence" and any(line.kind == "command" for line in each.lines)):
            break
        if each.kind == "fence" and (label or each.info in ("json", "jsonc", "json5", "http")):
            expected = _read(f"{label}\n{each.text}", each.line)
            return expected[0] or status, expected[1], expected[2]
        if each.kind in ("text", "item") and (words.EXPECTED.search(each.text) or _STATUS.search(each.text)):
            expected = _read("\n".join([each.text, *each.codes]), each.line)
            if expected[1]:
                return expected
            status, label, origin = expected[0], each.text, expected[2] if expected[0] else ""
    return status, {}, origin


def _read(text: str, line: int) -> tuple[int, dict[str, object], str]:
    shape = requests.answer(text)
    head = text.split("{")[0] if shape is not None else text
    match = _STATUS.search(head)
    status = int(match[1] or match[2]) if match else 0
    return status, requests.expectations(shape) if shape is not None else {}, in_plan(line)


# What today's tools do not do


def _tools(draft: Draft, blocks: Sequence[Block]) -> None:
    tools: dict[str, list[int]] = {}
    for _, line in commands(blocks):
        for words_, text in _OUTDATED:
            if words_.search(line.text):
                tools.setdefault(text, []).append(line.line)
                break
    for block in blocks:
        if block.kind == "fence" and block.info == "sql" and block.lines:
            tools.setdefault(_SQL, []).append(block.line)
    for text, numbers in tools.items():
        known = sorted(dict.fromkeys(numbers))
        draft.notice(f"{'line' if len(known) == 1 else 'lines'} {', '.join(map(str, known))}: {text}")


_SQL = "SQL is applied apart: Cutover names the files of supabase/migrations in plan, and does not apply them"
_CLI = r"supabase(?:@\S+)?"
_OUTDATED = (
    # https://supabase.com/docs/reference/cli: the CLI 3.1.0 reads logs with `supabase logs --remote`, without follow
    (re.compile(rf"{_CLI} functions logs?\b.*(?:--tail|--follow|-f\b)"),
     "supabase functions logs --tail does not exist in today's CLI: inv logs --follow"),
    (re.compile(rf"{_CLI} functions logs?\b"), "supabase functions logs does not exist in today's CLI: inv logs"),
    (re.compile(rf"{_CLI} functions deploy\b.*--no-verify-jwt"),
     "what --no-verify-jwt means stands in supabase/config.toml: write verify_jwt = false there"),
    (re.compile(r"git revert\b.*\bHEAD\b"),
     "git revert HEAD reverts whatever came last: inv rollback reverts the migration and nothing else"),
    (re.compile(rf"{_CLI} (?:db push|migration up)\b"), _SQL),
)  # fmt: skip
