"""What a plan says of proof: log lines, success criteria, thresholds of spend, and what answers its items."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from migration.setup.adoption import lines, providers, words
from migration.setup.adoption.document import Block, Line, in_plan
from migration.setup.adoption.draft import Draft, Value, flow

_QUOTED = re.compile(r"[\"“”„«`]([^\"“”«»`\n]{4,120})[\"“”»`]")
PERSON = "person"  # answers what no verb and no criterion can know
_MANY = 8  # names shown in a question
_BETWEEN = 0.04  # between a rate that passes and one that fails, as in `soak`: fewer requests would settle nothing
_SHARE = re.compile(r"(\d{1,3}(?:[.,]\d+)?)\s?%")
_SECONDS = re.compile(r"(?i)(\d+(?:[.,]\d+)?)\s?(ms\b|millis\w*|s\b|sec\w*|sek\w*|seg\w*|秒)")
_VOLUME = re.compile(
    r"(?i)^\W*(?P<name>[a-zà-ÿ]+)\b[^\d(]{0,20}\(?\s*(?P<count>\d[\d.,]*)\s*(?P<what>[a-zà-ÿ]+)?\s*(?:/|"
    r"per |pro |al |por |par )\s*(?:day|tag|día|dia|jour)"
)
_USAGE = re.compile(r"(?P<label>[^\n{]*)\{(?P<inner>[^{}]*)\}")
_FIELD = re.compile(r"([A-Za-z_]\w*)[\"']?\s*:\s*([\"']?[^,\n}]+)")
_COUNTED = re.compile(
    r"(?P<word>[A-Za-z_]+)(?P<sep>\s*[:=]\s*\$?)(?P<number>\d[\d,._]*)(?!\s*(?:in|out|prompt|completion)|\d)|(?P<dollar>\$)(?P<money>\d[\d.,]*)|"
    r"(?P<first>\d[\d,]*)(?P<gap>\s+)(?P<unit>in(?:put)?|out(?:put)?|prompt|completion|total)\b"
)


def fill(draft: Draft, blocks: Sequence[Block]) -> None:
    _signals(draft, blocks)
    _criteria(draft, blocks)
    _table(draft, blocks)
    _budget(draft, blocks)
    advise(draft)


# Signals


def _signals(draft: Draft, blocks: Sequence[Block]) -> None:
    new: list[tuple[str, int]] = []
    old: list[tuple[str, int]] = []
    for block in blocks:
        back = bool(words.ROLLBACK.search(block.context))
        for text, number in _log_lines(block):
            (old if back else new).append((text, number))
    usage = [(pattern, number) for block in blocks for pattern, number in _usages(block)]
    if usage:
        best = max(usage, key=lambda each: len(each[0]))
        draft.set(("signals", "usage"), best[0], in_plan(best[1]))
    elif draft.has("providers"):
        draft.ask(("signals", "usage"), "which log line holds the tokens of a request? Without it there are no costs")
    plain = [(text, number) for text, number in new if not re.search(r"(?i)tokens?\b|usage|\bcost", text)]
    ranked = sorted(plain, key=lambda each: (-len(lines.route_words(each[0])), -len(each[0])))
    _signal(draft, "new_route", ranked, "new")
    _signal(draft, "old_route", old, "old")
    if ranked:
        _decorations(draft, ranked[0][0], plain)


def _signal(draft: Draft, name: str, patterns: Sequence[tuple[str, int]], which: str) -> None:
    if patterns:
        draft.set(("signals", name), lines.pattern(patterns[0][0]), in_plan(patterns[0][1]))
    else:
        draft.ask(("signals", name), f"which log line does only the {which} code write? The plan names none")


def _decorations(draft: Draft, chosen: str, others: Sequence[tuple[str, int]]) -> None:
    """The same words behind another sign: patterns match words, so both are found."""
    for text, number in others:
        if text != chosen and lines.pattern(chosen).startswith(lines.pattern(text)) and _sign(text) != _sign(chosen):
            draft.notice(
                f"line {number} shows the same log line with another sign ({_sign(text)} for "
                f"{_sign(chosen)}): the pattern matches the words"
            )


def _sign(text: str) -> str:
    return re.sub(r"[\w\s\"'\[\]().,:-]", "", text)[:2]


def _log_lines(block: Block) -> Iterator[tuple[str, int]]:
    """Lines that the plan expects in the logs: below a command that reads them, and quoted in sentences about logs."""
    reading = any(
        line.kind == "command" and re.search(r"(?:functions|supabase) logs?\b|\blogs?\b.*(?:grep|tail)", line.text)
        for line in block.lines
    )
    if block.kind == "fence":
        about = reading or (
            words.LOGGED.search(block.context) and not any(line.kind == "command" for line in block.lines)
        )
        for line in block.lines if about else ():
            if line.kind != "command" and not words.NEGATIVE.match(line.text.strip(" -*")):
                yield from _shown(line)
    elif words.LOGGED.search(f"{block.context} {block.text}") and block.kind in ("text", "item", "row"):
        for text in (*_QUOTED.findall(block.text), *(code for code in block.codes if f'"{code}"' not in block.text)):
            before = block.text[max(block.text.find(text) - 24, 0) : max(block.text.find(text), 0)]
            command = re.match(r"(?:supabase|curl|npx|git|inv) |\{", text)
            if " " in text.strip() and not command and not words.NEGATIVE.search(before):
                yield text, block.line


def _shown(line: Line) -> Iterator[tuple[str, int]]:
    text = line.text.strip()
    quoted = _QUOTED.findall(text)
    if quoted:
        yield from ((each, line.line) for each in quoted if " " in each or "_" in each)
    elif re.match(r"\[|\d{4}-|\W*[^\x00-\x7f]", text) and "{" not in text and len(text) > 8:
        yield text, line.line


def _usages(block: Block) -> Iterator[tuple[str, int]]:
    """Patterns of lines with tokens that the plan shows: an object, or a sentence with numbers."""
    for number, line in enumerate(block.lines):
        if line.kind == "command":
            continue
        text = "\n".join(each.text for each in block.lines[number : number + 10])
        match = _USAGE.match(text)
        if match and match["label"].strip():
            fields = [(name, lines.group(name), value.strip()) for name, value in _FIELD.findall(match["inner"])]
            if len({each for _, each, _ in fields} & {"input", "output", "total"}) >= 2:
                yield lines.of_object(match["label"], fields), line.line
        else:
            pattern = _sentence(line.text)
            if pattern:
                yield pattern, line.line
    for quoted in _QUOTED.findall(block.text) if block.kind != "fence" else ():
        pattern = _sentence(quoted)
        if pattern:
            yield pattern, block.line
    for code in block.codes:
        pattern = _sentence(code)
        if pattern:
            yield pattern, block.line


def _sentence(text: str) -> str:
    if text.lstrip().startswith(("{", '"')):
        return ""
    holes: list[str] = []

    def hole(match: re.Match[str]) -> str:
        name = "cost" if match["money"] else match["word"] or match["unit"]
        holes.append(lines.group(name) or ("input" if name == "in" else "output" if name == "out" else ""))
        inner = "${" + (holes[-1] or name) + "}"
        if match["money"]:
            return f"${inner}"
        return f"{match['word']}{match['sep']}{inner}" if match["word"] else f"{inner}{match['gap']}{match['unit']}"

    pattern = _COUNTED.sub(hole, text)
    return lines.of_text(pattern) if len(set(holes) & {"input", "output", "total"}) >= 2 else ""


# Criteria

_RULES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("no_503", re.compile(r"(?<!\d)503(?!\d)")),
    ("cost_logged", re.compile(r"(?i)(?:cost|token|usage|kosten|coût|costo)\w*\W+(?:\w+\W+){0,3}(?:log|"
        r"appear|protokoll|registr)|log\w*\W+(?:\w+\W+){0,3}cost")),
    ("provider_sees_requests", re.compile(r"(?i)dashboard\b.*\b(?:request|usage|activity|anfrag)|"
        r"(?:openrouter|provider)\b.*\b(?:shows?|sees|zeigt)")),
    ("no_errors_in_logs", re.compile(r"(?i)\b(?:no|without|zero|keine|ohne|sin|sans|"
        r"pas d)\w*\W+(?:\w+\W+){0,2}(?:errors?|fehler|errores|erreurs)")),
    ("unchanged", words.UNCHANGED),
    ("unchanged", re.compile(r"(?i)\bstill (?:works?|answers?|runs?)|funktioniert weiter|weiterhin|"
        r"sigue\w* funcionando|fonctionne\w* toujours")),
    ("response_time", re.compile(r"(?i)(?<![a-z0-9])p(?:50|95|99)(?!\d)|latency|response times?|antwortzeit|latenz|"
        r"tiempo de respuesta|temps de réponse|latencia|latência|tempo (?:de resposta|di risposta)|"
        r"応答時間|响应时间|延迟")),
    ("success_rate", re.compile(r"(?i)success rate|error rate|erfolgsquote|fehlerquote|tasa de (?:éxito|error|fallos?)|"
        r"taux (?:de succès|de réussite|d[’']erreur)|taxa de (?:sucesso|erros?|falhas?)|tasso di (?:successo|errore)|"
        r"成功率|エラー率|错误率|失败率")),
    ("cost_per_request", re.compile(r"(?i)cost per|per request|kosten (?:pro|je)|costo (?:por|per)|coût par|custo por|"
        r"\$[\d.]+\s*(?:/|per )\s*(?:request|call|artifact|message)")),
    ("answers_work", re.compile(r"(?i)\bworks?\b|\bsucceed|funktioniert|funciona|fonctionne|"
        r"\banswers?\b|returns? 200|\b200\b")),
)  # fmt: skip
_NEEDS = {"provider_sees_requests": "openrouter", "budget": "openrouter"}


def criteria_of(text: str) -> list[str]:
    """The criteria that a sentence names, in the order of the rules."""
    names = [name for name, words_ in _RULES if words_.search(text)]
    names = [name for name in names if name != "no_errors_in_logs" or "no_503" not in names]
    if "unchanged" in names:
        return ["unchanged"]
    return list(dict.fromkeys(names))


def _judged(blocks: Sequence[Block]) -> Iterator[Block]:
    for block in blocks:
        if (
            block.kind in ("item", "row")
            and words.CRITERIA.search(block.context)
            and not words.SPEND.search("".join(block.above[-1:]))
        ):
            yield block


def _usable(draft: Draft, name: str) -> bool:
    return name not in _NEEDS or draft.get("migration", "to") == _NEEDS[name]


def _criteria(draft: Draft, blocks: Sequence[Block]) -> None:
    any_ = False
    for block in _judged(blocks):
        if block.cells:
            continue
        for name in criteria_of(block.text):
            if not _usable(draft, name):
                draft.notice(
                    f"line {block.line} wants what {draft.get('migration', 'to') or 'no provider'} "
                    f"cannot show (criteria.{name}): left out"
                )
                continue
            any_ = True
            if name == "unchanged" and not draft.get("migration", "unchanged"):
                continue
            draft.set(("criteria", name), _settings(name, block.text, block.text), in_plan(block.line))
        if not criteria_of(block.text) and _answer(block.text, set()) == PERSON:
            draft.ask(("criteria", f"line {block.line}"), f'how is "{block.text[:80]}" measured? No criterion fits')
    if not any_ and not any(block.cells for block in _judged(blocks)):
        draft.ask(
            ("criteria",),
            (
                "when is the migration a success? The plan has no criteria; docs name "
                "answers_work, no_503, response_time, …"
            ),
        )


def advise(draft: Draft) -> None:
    """What no request asks cannot be judged: until each has a case, the criterion reports and decides nothing."""
    known = draft.values.get(("criteria", "unchanged"))
    covered = {case["function"].value for case in draft.get("smoke") or ()}
    bare = [slug for slug in draft.get("migration", "unchanged") or () if slug not in covered]
    if known and bare:
        draft.values[("criteria", "unchanged")] = Value(
            {"advisory": True}, f"{known.origin}; decides once each has a case"
        )
        text = (
            f"which request shows that {', '.join(bare[:_MANY])}{' …' if len(bare) > _MANY else ''} still answers? "
            "Add a smoke case for each, then remove advisory"
        )
        draft.ask(("criteria", "unchanged"), text)


def measurable(draft: Draft) -> None:
    """A criterion that nothing measures yet is left out, as a line to take in; nothing ticks its items meanwhile."""
    for name, (source, verb, lacks) in _SOURCES.items():
        value = draft.values.get(("criteria", name))
        if value is None or draft.get(*source):
            continue
        del draft.values[("criteria", name)]
        draft.sketch(("criteria",), [f"{name}: {flow(value.value)} # {value.origin}; it needs {'.'.join(source)}"])
        draft.ask(("criteria", name), f"{lacks} Then take the line below in")
        for item in draft.get("migration", "items") or ():
            item["by"] = _instead(item["by"], f"criteria.{name}", verb)
    left = draft.sketches.get(("criteria",))
    if left and not draft.has("criteria"):
        draft.sketches[("criteria",)] = ["criteria:", *(f"  {line}" for line in left)]


_USAGE_LINE = "which log line holds tokens or cost of a request (signals.usage)?"
_SOURCES: dict[str, tuple[tuple[str, ...], str, str]] = {
    "cost_logged": (("signals", "usage"), PERSON, _USAGE_LINE),
    "cost_per_request": (("signals", "usage"), PERSON, _USAGE_LINE),
    "answers_work": (("smoke",), "smoke", "which request shows it (smoke)?"),
}


def _instead(by: str | list[str], name: str, verb: str) -> str | list[str]:
    """What answers an item without the criterion of that name."""
    left = [each for each in ([by] if isinstance(by, str) else by) if each != name] or [verb]
    return left[0] if len(left) == 1 else left


def _settings(name: str, wanted: str, whole: str) -> dict[str, Any]:
    """The options of a criterion that a text holds."""
    if name == "answers_work":
        return {"at_least": _share(wanted) or 0.99}
    if name == "success_rate":
        share = _share(wanted)
        if (
            share is not None
            and re.search(r"(?i)erro|fehler|erreur|falha|fallo|エラー|错误|失败", whole)
            and share < 0.5
        ):
            share = 1 - share
        least = round(share, 6) if share else 0.99
        return {"at_least": least, "reject": round(max(least - _BETWEEN, 0), 6)}
    if name == "response_time":
        seconds = [_time(*match) for match in _SECONDS.findall(wanted)]
        percentile = re.search(r"(?i)(?<![a-z0-9])p(50|95|99)(?!\d)", whole)
        return {f"p{percentile[1] if percentile else 95}": max(seconds)} if seconds else {}
    if name == "cost_per_request":
        dollars = providers.amounts(wanted)
        return {"mean": max(amount for amount, _, _ in dollars)} if dollars else {}
    return {}


def _share(text: str) -> float | None:
    shares = [float(each.replace(",", ".")) / 100 for each in _SHARE.findall(text)]
    return max(shares) if shares else None


def _time(number: str, unit: str) -> float:
    value = float(number.replace(",", ".")) / (1000 if unit.lower().startswith("m") else 1)
    return int(value) if value == int(value) else value


def _table(draft: Draft, blocks: Sequence[Block]) -> None:
    """A table of metrics: with columns before and after, or one column of targets."""
    for block in blocks:
        if not block.cells or not block.header or len(block.cells) < 2:
            continue
        after = _column(block, words.AFTER) or _column(block, words.CRITERIA, start=1)
        before = _column(block, words.BEFORE)
        name = next(iter(each for each in criteria_of(block.cells[0]) if each != "answers_work"), "")
        if not name and re.search(r"(?i)^\W*(?:cost|kosten|costo|coût)", block.cells[0]) and before:
            name = "cost_per_request"
        if not after or not name or not _usable(draft, name) or name == "unchanged":
            continue
        settings = _settings(name, after, f"{block.cells[0]} {after}")
        if not settings and name in ("response_time", "cost_per_request"):
            continue
        share = _share(before) if name == "success_rate" else None
        settings |= {"baseline": share} if share else {}
        settings |= {"expected": {"before": before, "after": after}} if before else {}
        known = draft.values.get(("criteria", name))
        if known is None or known.value in ({}, _settings(name, "", "")):
            draft.values[("criteria", name)] = Value(settings, in_plan(block.line))


def _column(block: Block, wanted: re.Pattern[str], start: int = 0) -> str:
    for number, (head, cell) in enumerate(zip(block.header, block.cells, strict=False)):
        if number >= max(start, 1) and wanted.search(head):
            return cell
    return ""


# Spend


def _budget(draft: Draft, blocks: Sequence[Block]) -> None:
    volumes: dict[str, int] = {}
    first = 0
    alarms: list[tuple[float, Block, set[str]]] = []
    for block in blocks:
        text = block.text
        match = _VOLUME.match(text) if block.kind in ("text", "item", "row", "heading") else None
        if match and (match["what"] or "").lower() != "usd" and not _SHARE.search(text):
            volumes.setdefault(match["name"].lower(), int(re.sub(r"[.,]", "", match["count"])))
            first = first or block.line
        about = words.SPEND.search(f"{' '.join(block.above[-2:])} {text}")
        if (
            block.kind in ("item", "text", "row")
            and about
            and (words.WARNING.search(text) or words.CRITICAL.search(text))
            and len(text) < 200
        ):
            found = [each for each in providers.amounts(text) if each[0] >= 1]
            alarms += [(each[0], block, about) for each, about in zip(found, _alarms(text, found), strict=True)]
    for key in ("critical", "warning"):
        exact = next(((amount, block) for amount, block, about in alarms if key in about), None)
        if exact:
            amount = exact[0] if exact[0] % 1 else int(exact[0])
            draft.set(("budget", f"monthly_{key}"), amount, f"{in_plan(exact[1].line)}, USD")
    if alarms and _usable(draft, "budget"):
        draft.set(("criteria", "budget"), {}, "against the thresholds of budget")
    if volumes:
        draft.set(("budget", "volumes"), volumes, f"{in_plan(first)}: requests a day")
    if draft.has("providers") and not alarms:
        draft.ask(("budget",), "at what spend a month should someone know? The plan has no threshold")


def _alarms(text: str, amounts: Sequence[tuple[float, int, int]]) -> list[set[str]]:
    """Of each amount whether it is critical or a warning; by the words beside it, where the text has several."""
    whole = _alarm(text)
    parts = providers.beside(text, amounts, lambda part: bool(_alarm(part)))
    return [(_alarm(part) or whole) if len(amounts) > 1 else whole for part in parts]


def _alarm(text: str) -> set[str]:
    return {"critical"} if words.CRITICAL.search(text) else {"warning"} if words.WARNING.search(text) else set()


# Items of the plan, and what answers them
_ANSWERS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("e2e", re.compile(r"(?i)end[ -]?to[ -]?end|e2e|browser|ui test|ende[ -]zu[ -]ende")),
    ("watch", re.compile(r"(?i)\bmonitor\b.*\b(?:hours?|h\b|days?|stunden|tage)|\b\d+\s?h\b|\bwatch(?:ed)?\b|"
        r"beobacht|überwach|vigilar|monitore|surveill")),
    ("rollback", re.compile(r"(?i)roll ?back|revert\b|zurückroll|rückgängig")),
    ("criteria.budget", re.compile(r"(?i)(?:spend|budget|cost|billing)\w*\W+(?:\w+\W+){0,2}(?:alert|"
        r"limit|threshold)|\balerts?\b.*\$")),
    ("history", re.compile(r"(?i)feedback|rückmeldung|retroaliment")),
    ("report", re.compile(r"(?i)\bdocument\b|write[ -]?up|analy[sz]e|trade-?off|caching|post-?mortem|"
        r"dokumentier|documentar|documenter")),
    ("criteria.code_quality", re.compile(r"(?i)\bquality\b|qualität|calidad|qualité")),
    ("criteria.success_rate", re.compile(r"(?i)(?:error|success) rates?|fehlerquote|erfolgsquote|tasa de")),
    ("costs", re.compile(r"(?i)cost\w* (?:track|dash|per|metric)|track\w* cost|\bcosts?\b|kosten|costo|coût")),
    ("secret", re.compile(r"(?i)secrets?\b|api[ -]?keys?\b|\bkeys?\b|schlüssel|geheimnis|clave|clé|segredo|chave|"
        r"シークレット|密钥")),
    ("rehearse", re.compile(r"(?i)staging|dry run|rehears|probelauf")),
    ("deploy", re.compile(r"(?i)\bdeploy|ausroll|bereitstell|despleg|déploy|implant|release|"
        r"\bpublicar|\bpublier|デプロイ|发布|部署")),
    ("smoke", re.compile(r"(?i)\btests?\b|\bsmoke\b|\bverif(?:y|ied|ic)|\bcurl\b|prüf|testen|probar|tester|"
        r"testar|vérifi|verific|テスト|動作確認|测试|验证")),
    ("logs", re.compile(r"(?i)\blogs?\b|protokoll|registro|journaux")),
)  # fmt: skip


def items(draft: Draft, blocks: Sequence[Block]) -> list[dict[str, Any]]:
    """The boxes of the plan, and its success criteria, each with what answers it."""
    criteria = {path[1] for path in draft.values if path[0] == "criteria"}
    items_: list[dict[str, Any]] = []
    judged = {block.line for block in _judged(blocks) if not block.cells}
    for block in blocks:
        text = " ".join(block.text.split())
        if not text or (block.box is None and block.line not in judged):
            continue
        own = [f"criteria.{name}" for name in criteria_of(text) if name in criteria]
        answer = _answer(text, criteria)
        found_by = own if own and (block.line in judged or answer == PERSON) else [answer]
        words_of = lines.stripped(text) or text
        items_.append({"line": block.line, "text": words_of, "by": found_by[0] if len(found_by) == 1 else found_by})
    return items_


def _answer(text: str, criteria: set[str]) -> str:
    """What answers a line; the report shows what no criterion of this config judges."""
    answer = next((verb for verb, words_ in _ANSWERS if words_.search(text)), PERSON)
    kind, _, name = answer.partition(".")
    return answer if kind != "criteria" or name in criteria else "costs" if name == "budget" else "report"
