"""What a plan says of providers: which one the code moves from and to, models, prices, and whether they agree."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from migration.setup.adoption import kinds, lines, words
from migration.setup.adoption.document import Block, in_plan
from migration.setup.adoption.draft import Draft
from migration.setup.adoption.kinds import Kind

_MONEY = re.compile(r"(?:US)?\$\s?(\d+(?:[.,]\d+)?)|(\d+(?:[.,]\d+)?)\s?(?:USD|US\$|\$|€)")
_MILLION = re.compile(
    r"(?i)(?:/|per |pro |por |par )\s*(?:1\s?|one |eine )?(?:M\b|Mio\b|MTok|million|millón|milli?one?)|\b1M\b|\bMTok\b"
)
_MODEL = re.compile(
    r"(?:[a-z0-9][\w.-]*/)?(?:gpt-\d|gpt-[a-z]|o[134](?:-|\b)|claude-|gemini-|text-embedding|mistral-|magistral-|"
    r"ministral-|codestral-|pixtral-|deepseek-|grok-|llama-?\d|qwen|sonar|"
    r"[a-z0-9][\w.-]*/[a-z0-9])[\w.:-]*"
)
_TO = re.compile(
    r"(?i)\b(?:from|von|de|desde|da|replac\w+|ersetz\w+)\s+(?P<from>[^\n.;]{2,60}?)\s+"
    r"(?:to|with|by|nach|auf|zu|durch|a|hacia|vers|à|para|por)\s+(?P<to>[^\n.;]{2,60})"
    r"|(?P<left>[^\n:|]{2,60}?)\s*(?:→|->|=>|➜)\s*(?P<right>[^\n|]{2,60})"
    r"|\b(?:switch|mov\w+|migrat\w+|cut over|wechsel\w*|umstell\w*|cambi\w+|pass\w+)\s+(?:\w+\s+){0,6}?"
    r"(?:to|auf|zu|nach|a|vers|à|para)\s+(?P<only>[^\n.;]{2,60})"
    r"|(?P<since>[^\n（(]{2,60}?)\s*から\s*(?P<towards>[^\n）)]{2,60}?)\s*[へに]"
    r"|从\s*(?P<off>[^\n]{2,60}?)\s*(?:切换|迁移|替换|换|改)?[到为成]\s*(?P<onto>[^\n]{2,60})"
)


@dataclass(frozen=True)
class ModelPrice:
    """USD per million tokens by `input`, `cached_input`, `output`, and the line."""

    amounts: dict[str, float]
    line: int


def fill(draft: Draft, blocks: Sequence[Block]) -> None:
    before, after, seen = _mentions(blocks)
    target = _first(after, before) or _of_secret(blocks)
    source = next((name for name, _ in before.most_common() if name != target), "")
    for name in dict.fromkeys(filter(None, (target, source))):
        kind = kinds.BY_NAME[name]
        draft.set(("providers", name, "kind"), kind.speaks, in_plan(seen.get(name, 1)))
        if kind.url:
            draft.set(("providers", name, "url"), kind.url, f"{name} speaks OpenAI's API there; look it up")
    models = _models(blocks)
    for name in filter(None, (target, source)):
        _model(draft, kinds.BY_NAME[name], models)
    if source:
        draft.set(("migration", "from"), source, in_plan(seen[source]))
    if target:
        draft.set(("migration", "to"), target, in_plan(seen.get(target, 1)))
        _price(draft, target, blocks)
    elif seen:
        draft.ask(("migration", "to"), f"which provider does the migration move to: {', '.join(seen)}?")


def _of_secret(blocks: Sequence[Block]) -> str:
    """The kind whose key the plan sets as a secret."""
    for block in blocks:
        for line in block.lines:
            match = re.search(r"secrets set\s+([A-Z][A-Z0-9_]+)", line.text)
            kind = kinds.of_variable(match[1]) if match else None
            if kind:
                return kind.name
    return ""


def _mentions(blocks: Sequence[Block]) -> tuple[Counter[str], Counter[str], dict[str, int]]:
    """How often each kind is named where a plan says what was, and what will be; and its first line."""
    before: Counter[str] = Counter()
    after: Counter[str] = Counter()
    seen: dict[str, int] = {}
    for block in blocks:
        aside = words.TROUBLE.search(block.context) or words.ROLLBACK.search(block.context)
        for text, number in (
            [(block.text, block.line)] if block.kind != "fence" else [(line.text, line.line) for line in block.lines]
        ):
            for kind in kinds.in_text(text):
                seen.setdefault(kind.name, number)
        if block.kind == "fence" or aside:
            continue
        _moves(block.text, before, after)
        for name, rest in re.findall(r"(?m)^\W*([^:\n]{2,30}):\s*(\S.*)$", block.text):  # `Before: …`
            if _side(name):
                _count(rest, before if _side(name) == "before" else after)
        for head, cell in zip(block.header, block.cells, strict=False):
            _count(
                f"{head} {cell}",
                before if words.BEFORE.search(head) else after if words.AFTER.search(head) else Counter(),
            )
        near = next((part for part in reversed(block.above) if _side(part)), "")
        if near and not block.cells and not words.UNCHANGED.search(block.text):
            _count(block.text, before if _side(near) == "before" else after)
    return before, after, seen


def _side(text: str) -> str:
    """Whether a label or heading is about what was or what will be; empty for neither, and for both."""
    plain = text.strip(" :*").lower()
    old, new = bool(words.BEFORE.match(plain)), bool(words.AFTER.match(plain))
    return "before" if old and not new else "after" if new and not old else ""


def _moves(text: str, before: Counter[str], after: Counter[str]) -> None:
    for match in _TO.finditer(text):
        _count(next(filter(None, (match[name] for name in ("from", "left", "since", "off"))), ""), before, 3)
        _count(next(filter(None, (match[name] for name in ("to", "right", "only", "towards", "onto"))), ""), after, 3)
    if re.match(r"(?i)\W*(?:problem|issue)", text):
        _count(text, before)
    if re.match(r"(?i)\W*(?:solution|lösung|solución)", text):
        _count(text, after)


def _count(text: str, where: Counter[str], weight: int = 1) -> None:
    kinds_seen = kinds.in_text(text)
    routed = [
        kind for kind in kinds_seen if kind.name == "openrouter"
    ]  # a model by way of it is not its vendor's service
    for kind in routed or kinds_seen:
        where[kind.name] += weight


def _first(after: Counter[str], before: Counter[str]) -> str:
    ranked = sorted(after, key=lambda name: (-(after[name] - before[name]), -after[name]))
    return (
        ranked[0]
        if ranked and after[ranked[0]] > 0 and (after[ranked[0]] > before[ranked[0]] or len(before) < 2)
        else ""
    )


def _models(blocks: Sequence[Block]) -> list[tuple[str, int, str]]:
    """Names of models with line and surroundings, in backticks first, since those are meant as they stand."""
    models = [
        (code, block.line, f"{block.context} {block.text}")
        for block in blocks
        for code in block.codes
        if _MODEL.fullmatch(code)
    ]
    for block in blocks:
        pieces = [(line.text, line.line) for line in block.lines] or [(block.text, block.line)]
        hit = re.compile(rf"(?<![\w./@-]){_MODEL.pattern}")
        models += [(match[0].rstrip("."), number, f"{block.context} {text}") for text, number in pieces
                  for match in hit.finditer(text) if _plausible(match[0])]  # fmt: skip
    return [each for each in models if _plausible(each[0])]


def _plausible(name: str) -> bool:
    return bool(re.search(r"\d|-", name)) and not re.search(
        r"\.(?:ts|js|tsx|md|json|co|com|ai|dev|toml|sql|sh)\b|functions|supabase|^_|/v\d", name
    )


def _model(draft: Draft, kind: Kind, models: Sequence[tuple[str, int, str]]) -> None:
    fitting = [each for each in models if kind.models.match(each[0])]
    names = list(dict.fromkeys(name for name, _, _ in fitting))
    if fitting:
        draft.set(("providers", kind.name, "model"), fitting[0][0], in_plan(fitting[0][1]))
    else:
        draft.ask(
            ("providers", kind.name, "model"),
            f"which model of {kind.name}, by the name that its API takes? The plan does not say",
        )
    if len(names) > 1:
        draft.notice(f"the plan names several models of {kind.name}: {', '.join(names[:4])}; the first is taken")


# Prices


def amounts(text: str) -> list[tuple[float, int, int]]:
    """Dollars in a text, each with where it begins and ends."""
    return [(float((match[1] or match[2]).replace(",", ".")), *match.span()) for match in _MONEY.finditer(text)]


def beside(text: str, pieces: Sequence[tuple[float, int, int]], named: Callable[[str], bool]) -> list[str]:
    """The words that go with each amount: those before it where the first amount has such words before it, else those
    after it; `named` says whether a part of the text has them."""
    if not pieces:
        return []
    ends = [0, *(end for _, _, end in pieces)]
    starts = [*(start for _, start, _ in pieces[1:]), len(text)]
    before = [text[last:start] for last, (_, start, _) in zip(ends, pieces, strict=False)]
    after = [text[end:following] for following, (_, _, end) in zip(starts, pieces, strict=True)]
    return before if named(before[0]) else [words_[:60] for words_ in after]


def _price(draft: Draft, target: str, blocks: Sequence[Block]) -> None:
    prices = [price for block in blocks if _concerns(block, target) and (price := _priced(block))]
    samples = [sample for block in blocks if (sample := _sample(block))]
    best = max(prices, key=lambda each: len(each.amounts), default=None)
    at = ("providers", target, "price")
    if best is None or not {"input", "output"} <= set(best.amounts):
        draft.ask(
            at,
            (
                "USD per million tokens, as {input: …, cached_input: …, output: …}? The plan does "
                "not say; without it there are no costs"
            ),
        )
        return
    cached = best.amounts.get("cached_input")
    draft.set((*at, "input"), best.amounts["input"], f"{in_plan(best.line)}, USD per million tokens")
    draft.set(
        (*at, "cached_input"),
        best.amounts["input"] if cached is None else cached,
        "" if cached is not None else "the plan names one input price",
    )
    draft.set((*at, "output"), best.amounts["output"], in_plan(best.line))
    if cached is None:
        draft.ask(
            at,
            (
                f"is ${best.amounts['input']:g} (line {best.line}) the price of all input, or of cached "
                f"input only? Providers list both; look there"
            ),
        )
    for sample in samples:
        _compare(draft, best, sample, cached is None)
    others = [
        price
        for price in prices
        if any(price.amounts.get(name, value) != value for name, value in best.amounts.items())
    ]
    for price in others:
        draft.notice(f"line {price.line} gives other prices than line {best.line}")


def _concerns(block: Block, target: str) -> bool:
    """Whether a block may be about the target: it does not name others alone."""
    named = [kind.name for kind in kinds.in_text(block.text)]
    return not named or target in named


def _priced(block: Block) -> ModelPrice | None:
    text = " ".join([*block.header, block.text, *block.above[-1:]]) if block.cells else block.text
    if block.kind == "fence" or not _MILLION.search(text):
        return None
    usd: dict[str, float] = {}
    if block.cells:
        for head, cell in zip(block.header, block.cells, strict=False):
            _put(
                usd,
                head if _which(head) else block.cells[0],
                amounts(cell),
            )
        return ModelPrice(usd, block.line) if usd else None
    text = "\n".join(line for line in block.text.split("\n") if _MILLION.search(line) and _MONEY.search(line)) or text
    pieces = amounts(text)
    for piece, near in zip(pieces, beside(text, pieces, lambda part: bool(_which(part))), strict=True):
        _put(usd, near, [piece])
    if not usd and len(pieces) >= 2:  # "$0.15/$2.50 per 1M tokens"
        usd = {"input": pieces[0][0], "output": pieces[1][0]}
    return ModelPrice(usd, block.line) if usd else None


def _which(text: str) -> str:
    if re.search(r"(?i)cache", text):
        return "cached_input"
    if re.search(r"(?i)\bin\b|input|prompt|eingabe|entrada|entrée|ingresso|invoer|入力|输入", text):
        return "input"
    return (
        "output"
        if re.search(r"(?i)\bout\b|output|completion|ausgabe|salida|sortie|saída|uscita|uitvoer|出力|输出", text)
        else ""
    )


def _put(usd: dict[str, float], words_: str, some: Sequence[tuple[float, int, int]]) -> None:
    name = _which(words_)
    if name and some:
        usd.setdefault(name, some[0][0])


@dataclass(frozen=True)
class PricedSample:
    """A line that the plan expects in the logs, with tokens and what they cost."""

    input: float
    output: float
    cost: float
    line: int


def _sample(block: Block) -> PricedSample | None:
    for number, line in enumerate(block.lines):
        text = "\n".join(each.text for each in block.lines[number : number + 8])
        values = {lines.group(name): float(value.replace(",", "")) for name, value in reversed(re.findall(
            r"([A-Za-z_]\w*)[\"']?\s*[:=]\s*[\"']?\$?(\d[\d,]*(?:\.\d+)?)", text))}  # fmt: skip
        if {"input", "output", "cost"} <= set(values) and lines.group(line.text.split(":")[0]) != "":
            return PricedSample(values["input"], values["output"], values["cost"], line.line)
    return None


def _compare(draft: Draft, price: ModelPrice, sample: PricedSample, one_price: bool) -> None:
    by_price = (sample.input * price.amounts["input"] + sample.output * price.amounts["output"]) / 1e6
    if abs(by_price - sample.cost) > max(0.00005, 0.02 * sample.cost):
        hint = "; a low input price is often the one of cached input" if one_price and by_price < sample.cost else ""
        tokens = f"{sample.input:g} + {sample.output:g} tokens cost ${by_price:.4f} at the prices of line {price.line}"
        logged = f"${sample.cost:.4f} in its sample at line {sample.line}"
        draft.notice(f"the plan contradicts itself: {tokens}, and {logged}{hint}")
