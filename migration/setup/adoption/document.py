"""A written plan as blocks: headings, paragraphs, items, rows and commands, each with its line and its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from migration.base.command import Do
from migration.base.errors import Refused
from migration.base.files import contents
from migration.setup.adoption.mojibake import repaired

_LARGEST = 2_000_000  # bytes
_LABEL = 160  # characters of a paragraph that names what follows
_BOX = re.compile(r"^\[([ xX])\]\s+")
_FRONT = re.compile(r"\A---\n(?:[\w-]+:[^\n]*\n|\s[^\n]*\n)*---\n")  # as site generators have it
_WIKI = re.compile(r"(?m)^[ \t]*\{(?:code|noformat)(?::[^}\n]*)?\}[ \t]*$")  # fences of Jira and Confluence
_HEADING = re.compile(r"(?m)^h[1-6]\. \S")
_HEADS = re.compile(r"\s*\|\|[^|\n]+(?:\|\|[^|\n]+)*\|\|\s*")
_ROW = re.compile(r"\s*\|{1,2}[^|\n]+(?:\|{1,2}[^|\n]+)*\|{1,2}\s*")
_CELL = re.compile(r"[^|]+")
_FENCE = re.compile(r"\s*(?:```|~~~)")
_PROMPT = re.compile(r"^(?:\$|%|PS(?: [A-Z]:[^>]*)?>|>)\s+(?=\S)")
_REMARK = re.compile(r"^\s*(?:#|//|::|REM\b|<#)\s?")
_COMMAND = re.compile(
    r"(?:sudo |npx |bunx |pnpm (?:dlx |exec )?|yarn (?:dlx )?|[A-Z_]+=\S+ )*"
    r"(?:supabase|curl(?:\.exe)?|git|psql|deno|npm|npx|wget|http|https|echo|export|cd|cat|docker|stripe|"
    r"Invoke-\w+|irm|iwr|\$env:\w+\s*=|\$\w+\s*=|for \w+ in\b[^;\n]*;\s*do|(?i:foreach) *\()(?=\s|=|\$|$)"
)


def in_plan(*numbers: int) -> str:
    """Where a value comes from: `line 3 of the plan`, `lines 3, 8 of the plan`."""
    known = list(dict.fromkeys(numbers))
    return f"{'line' if len(known) == 1 else 'lines'} {', '.join(map(str, known))} of the plan"


@dataclass(frozen=True)
class Line:
    """A line of a fence: a whole `command` (its continued lines joined), a `remark` without its sign, or `output`."""

    kind: str
    text: str
    line: int


@dataclass(frozen=True)
class Block:
    """`kind`: heading, text, item, row or fence. `above`: headings, the label and the items over it, the nearest last.

    `text` without markup; `codes` what stands in backticks; `box` of an item: None, " " or "x"; `cells` of a row with
    the `header` of its table; `lines` of a fence.
    """

    kind: str
    text: str
    line: int
    above: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    box: str | None = None
    cells: tuple[str, ...] = ()
    header: tuple[str, ...] = ()
    info: str = ""
    lines: tuple[Line, ...] = ()
    ordered: bool = False

    @property
    def context(self) -> str:
        return " / ".join(self.above)


def load(path: Path) -> list[Block]:
    """Refused for a file that cannot be read as text."""
    try:
        data = contents(path)
    except OSError as error:
        raise Refused(f"Cannot read {path}: {error.strerror}.", Do("--plan names a Markdown file")) from None
    if len(data) > _LARGEST:
        raise Refused(f"{path} has {len(data) / 1e6:.0f} MB, which no plan has.", Do("--plan names a Markdown file"))
    for encoding in ("utf-8-sig", "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "cp1252"):
        try:
            return read(data.decode(encoding))
        except UnicodeDecodeError:
            continue
    raise Refused(f"{path} is not text.", Do("save it as UTF-8"))


def read(text: str) -> list[Block]:
    """The blocks in the order of the text. Doubly encoded text is repaired first; lines keep their numbers."""
    clean = _FRONT.sub(
        lambda match: "\n" * match[0].count("\n"), repaired(text).replace("\r\n", "\n").replace("\r", "\n")
    )
    wiki = bool(_WIKI.search(clean) or _HEADING.search(clean)) and "```" not in clean
    lines = list(_tabled(_wiki(clean) if wiki else clean, wiki))
    tree = SyntaxTreeNode(MarkdownIt("commonmark").enable("table").parse("\n".join(text for text, _ in lines)))
    return [_placed(block, [number for _, number in lines]) for block in _Walk().blocks(tree.children, ())]


def _placed(block: Block, numbers: list[int]) -> Block:
    """The block with the numbers of its lines in the file."""
    own = tuple(replace(line, line=_number(line.line, numbers)) for line in block.lines)
    return replace(block, line=_number(block.line, numbers), lines=own)


def _number(line: int, numbers: list[int]) -> int:
    return numbers[line - 1] if 0 < line <= len(numbers) else line


def _wiki(text: str) -> str:
    """Jira's own marks as Markdown, line by line: fences, headings, numbered items, links, code.

    https://jira.atlassian.com/secure/WikiRendererHelpAction.jspa?section=all
    """
    inside, found = False, list[str]()
    for line in text.split("\n"):
        if _WIKI.fullmatch(line):
            inside, line = not inside, "```"
        elif not inside:
            line = re.sub(r"^h([1-6])\. ", lambda match: "#" * int(match[1]) + " ", re.sub(r"^#(?= )", "1.", line))
            line = re.sub(r"\[([^\[\]|]+)\|([^\[\]|\s]+)\]", r"[\1](\2)", re.sub(r"\{\{([^{}`]+)\}\}", r"`\1`", line))
        found.append(line)
    return "\n".join(found)


def _tabled(text: str, wiki: bool) -> Iterator[tuple[str, int]]:
    """The lines, each with its number, and Jira's tables as Markdown's, which have a line more below the heads and end
    with an empty one: `||head||head||`, then `|cell|cell|`. Without heads only where the whole text is `wiki`."""
    fenced, table, lines = False, "", text.split("\n")  # table: whose marks the line before had
    for number, line in enumerate(lines, 1):
        fenced ^= bool(_FENCE.match(line))
        row = not fenced and bool(_ROW.fullmatch(line))
        if row and not table:
            own = _HEADS.fullmatch(line) or (wiki and not any(map(_ruled, lines[number - 1 : number + 1])))
            table = "jira" if own else "markdown"
            if own:
                yield from _heads(line, number)
                continue
        elif not row:
            if table == "jira" and line.strip():
                yield "", number
            table = ""
        yield line.strip().replace("||", "|") if table == "jira" else line, number


def _heads(line: str, number: int) -> Iterator[tuple[str, int]]:
    """The first row of a table, with what Markdown has below the heads; a row of cells gets empty heads."""
    row = line.strip().replace("||", "|")
    named = bool(_HEADS.fullmatch(line))
    yield row if named else _CELL.sub(" ", row), number
    yield _CELL.sub("---", row), number
    if not named:
        yield row, number


def _ruled(line: str) -> bool:
    """The line below the heads of a table in Markdown."""
    return "-" in line and not set(line) - set("|:- \t")


class _Walk:
    def __init__(self) -> None:
        self.headings: list[tuple[int, str]] = []
        self.label = ""

    def blocks(self, nodes: list[SyntaxTreeNode], parents: tuple[str, ...], ordered: bool = False) -> Iterator[Block]:
        for node in nodes:
            yield from self._block(node, parents, ordered)

    def _block(self, node: SyntaxTreeNode, parents: tuple[str, ...], ordered: bool) -> Iterator[Block]:
        line = node.map[0] + 1 if node.map else 0
        if node.type == "heading":
            level, text = int(node.tag[1:]), _text(node)
            self.headings = [each for each in self.headings if each[0] < level]
            yield Block("heading", text, line, self._above(()))
            self.headings.append((level, text))
            self.label = ""
        elif node.type == "paragraph":
            block = Block("text", _text(node), line, self._above(parents), _codes(node))
            yield block
            if not parents:
                self.label = block.text if _labels(node, block.text) else self.label
        elif node.type in ("bullet_list", "ordered_list"):
            yield from self.blocks(node.children, parents, node.type == "ordered_list")
        elif node.type == "list_item":
            yield from self._item(node, parents, line, ordered)
        elif node.type in ("fence", "code_block"):
            first = line + (node.type == "fence")
            info = node.info.split()[0].lower() if node.info.split() else ""
            lines = tuple(_lines(node.content, first))
            yield Block("fence", node.content, first, self._above(parents), info=info, lines=lines)
        elif node.type == "table":
            yield from self._table(node, parents)
        elif node.type == "blockquote":
            yield from self.blocks(node.children, parents)

    def _item(self, node: SyntaxTreeNode, parents: tuple[str, ...], line: int, ordered: bool) -> Iterator[Block]:
        first = node.children[0] if node.children and node.children[0].type == "paragraph" else None
        text = _text(first) if first else ""
        box = _BOX.match(text)
        text = text[box.end() :] if box else text
        codes = _codes(first) if first else ()
        yield Block("item", text, line, self._above(parents), codes, box[1].lower() if box else None, ordered=ordered)
        yield from self.blocks(node.children[1 if first else 0 :], (*parents, text))

    def _table(self, node: SyntaxTreeNode, parents: tuple[str, ...]) -> Iterator[Block]:
        rows = [row for part in node.children for row in part.children]
        header = tuple(_text(cell) for cell in rows[0].children) if rows else ()
        for row in rows[1:]:
            cells = tuple(_text(cell) for cell in row.children)
            codes = tuple(code for cell in row.children for code in _codes(cell))
            line = row.map[0] + 1 if row.map else 0
            yield Block("row", " | ".join(cells), line, self._above(parents), codes, cells=cells, header=header)

    def _above(self, parents: tuple[str, ...]) -> tuple[str, ...]:
        return (*(text for _, text in self.headings), *([self.label] if self.label else []), *parents)


def _labels(node: SyntaxTreeNode, text: str) -> bool:
    """Whether a paragraph names what follows: it ends with a colon, or is bold from end to end."""
    inline = node.children[0].children if node.children else []
    bold = [child for child in inline if child.type != "text" or child.content.strip(" :")]
    return len(text) < _LABEL and (text.rstrip().endswith(":") or (len(bold) == 1 and bold[0].type == "strong"))


def _text(node: SyntaxTreeNode) -> str:
    return re.sub(r"[ \t]+", " ", "".join(_words(node))).strip()


def _words(node: SyntaxTreeNode) -> Iterator[str]:
    if node.type in ("text", "code_inline"):
        yield node.content
    elif node.type in ("softbreak", "hardbreak"):
        yield "\n"
    for child in node.children:
        yield from _words(child)
    if node.type == "link" and node.attrGet("href"):
        yield f" {node.attrGet('href')}"


def _codes(node: SyntaxTreeNode) -> tuple[str, ...]:
    return tuple(each.content for each in node.walk() if each.type == "code_inline")


def _lines(content: str, first: int) -> Iterator[Line]:
    """Commands whole: over `\\`, a backtick or `^` at the end of a line, and over open quotes."""
    held: Line | None = None
    for number, raw in enumerate(content.split("\n"), first):
        if held is not None:
            held = replace(held, text=f"{held.text}\n{raw}")
        else:
            text = _PROMPT.sub("", raw.strip())
            if not text:
                continue
            kind = "command" if _COMMAND.match(text) else "remark" if _REMARK.match(raw) else "output"
            held = Line(
                kind, text if kind == "command" else _REMARK.sub("", raw).rstrip() if kind == "remark" else raw, number
            )
        if held.kind != "command" or not _open(held.text):
            yield replace(held, text=_joined(held.text)) if held.kind == "command" else held
            held = None
    if held is not None:
        yield replace(held, text=_joined(held.text))


def _joined(text: str) -> str:
    return re.sub(r"[ \t]*[\\`^][ \t]*\n[ \t]*", " ", text).strip()


def _open(text: str) -> bool:
    """Whether a command goes on in the next line."""
    if re.search(r"(?<!\\)[\\^]\s*$", text) or re.search(r" `\s*$", text):
        return True
    if re.search(r"@[\"']\s*\n", text):  # a here-string of PowerShell
        return not re.search(r"\n[\"']@", text)
    quote, depth, place = "", 0, 0
    while place < len(text):
        each = text[place]
        if each == "\\" and quote != "'":
            place += 1
        elif quote:
            quote = "" if each == quote else quote
        elif each in "\"'":
            quote = each
        elif text.startswith("@{", place):
            depth, place = depth + 1, place + 1
        elif depth and each == "{":
            depth += 1
        elif depth and each == "}":
            depth -= 1
        place += 1
    return bool(quote) or depth > 0
