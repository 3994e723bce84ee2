"""The words by which plans say what a part is about, in the languages that plans are written in.

English, German, Spanish, French, Portuguese, Italian, Dutch, and the plainest words of Japanese and Chinese; others
still give what commands, paths and addresses say.
"""

from __future__ import annotations

import re


def _any(*words: str, inside: str = "") -> re.Pattern[str]:
    """`inside`: words of languages that put no spaces between them."""
    found = rf"(?<![\w-])(?:{'|'.join(words)})"
    return re.compile(rf"(?i)(?:{found}|{inside})" if inside else rf"(?i){found}")


UNCHANGED = _any(
    r"unchanged", r"untouched", r"not (?:be )?(?:changed|touched|modified|affected)",
    r"(?:do|does|must) not (?:change|touch)", r"don'?t (?:change|touch)", r"leave (?:\w+ )?alone", r"no changes?",
    r"out of scope", r"keep (?:\S+ ){0,3}as (?:is|they are)", r"stays? (?:as|on)", r"unverändert", r"bleib(?:t|en)",
    r"nicht (?:anfassen|geändert|betroffen)", r"sin cambios", r"no (?:se )?(?:cambia|toca)\w*", r"inchangée?s?",
    r"no (?:se )?(?:modifica|afecta)\w*", r"ne (?:pas|change)", r"pas (?:modifié|touché|concerné)\w*",
    r"inalterad[oa]s?", r"sem alteraç", r"não (?:muda|altera|mexe|afeta)\w*", r"invariat[oaie]",
    r"non (?:cambia|toccare|modificat)\w*", r"ongewijzigd", r"niet (?:gewijzigd|aanraken)",
    inside="変更しない|変更なし|そのまま|対象外|不变|不修改|不改动|保持原样",
)  # fmt: skip
MODIFIED = _any(
    r"modified", r"changed (?:files|functions)", r"files? (?:changed|modified|to change)",
    r"functions? (?:to|that|we) \w+", r"updated (?:files|functions)", r"new files", r"in scope",
    r"what (?:changes|changed|moves)", r"affected", r"geänderte?n?", r"betroffene?n?", r"neue dateien",
    r"modificad[oa]s", r"archivos", r"funciones (?:a|que)", r"modifiée?s", r"fichiers", r"alterad[oa]s",
    r"modificat[ei]", r"gewijzigde", r"funções (?:a|que)", r"fonctions (?:à|que)", r"funzioni (?:da|che)",
    inside="変更する|変更対象|対象の関数|需要修改|修改的|变更的",
)  # fmt: skip
BEFORE = _any(
    r"before", r"old\b", r"current(?:ly)?", r"today", r"existing", r"legacy", r"previous(?:ly)?", r"was\b",
    r"from\b", r"replac\w+", r"vorher", r"bisher", r"alte?[snr]?\b", r"heute", r"antes", r"actual(?:mente)?",
    r"anterior", r"avant", r"ancien\w*", r"actuel\w*", r"atual", r"prima", r"oud\w*", r"voor\b", r"von\b",
    r"desde\b", r"statt", r"problem",
)  # fmt: skip
AFTER = _any(
    r"after", r"new\b", r"target", r"switch\w* to", r"mov\w+ to", r"migrat\w+ to", r"to\b", r"via\b", r"with\b",
    r"solution", r"nachher", r"neue?[snr]?\b", r"künftig", r"ziel", r"nach\b", r"zu\b", r"después", r"nuev[oa]",
    r"hacia", r"après", r"nouveau", r"nouvelle", r"depois", r"nov[oa]\b", r"dopo", r"nieuw\w*", r"auf\b", r"vers\b",
    r"a\b", r"durch",
)  # fmt: skip
ROLLBACK = _any(
    r"roll(?:ing)?[ -]?back", r"back ?out", r"revert\w*", r"undo",
    r"if (?:something|it|issues?|things|problems?)\b.*", r"rückgängig", r"zurückrollen", r"rückfall\w*", r"zurück",
    r"revertir", r"reversión", r"vuelta atrás", r"plan b", r"retour", r"reverter", r"ripristin\w+",
    r"terugdraai\w+",
)  # fmt: skip
TROUBLE = _any(
    r"troubleshoot\w*", r"issue:", r"if modified", r"faq", r"known issues", r"fehler(?:suche|behebung)",
    r"probleme?\b", r"solución de problemas", r"dépannage", r"problemas",
)  # fmt: skip
EXPECTED = _any(
    r"expect\w*", r"should (?:return|be|see|answer|give|respond)", r"response", r"returns?", r"answers?",
    r"look for", r"output", r"erwart\w*", r"antwort\w*", r"liefert", r"ergibt", r"espera\w*", r"respuesta",
    r"devuelve", r"attendu\w*", r"réponse", r"renvoie", r"resposta", r"retorna", r"risposta", r"atteso",
    r"verwacht\w*", r"suchen nach", r"achten auf", inside="期待|预期|应返回",
)  # fmt: skip
LOGGED = _any(
    r"\w*logs?\b", r"logging", r"log (?:lines?|entries)", r"look for", r"watch for", r"monitor\w*", r"protokoll\w*",
    r"registros?", r"journa(?:l|ux)", r"registr[oi]", r"grep", inside="ログ|日志",
)  # fmt: skip
NEGATIVE = _any(
    r"no\b(?! (?:log|painel|console|terminal|registro))",  # `no log` is Portuguese for `in the log`
    r"not\b", r"never", r"without", r"keine?\b", r"nicht", r"ohne", r"sin\b", r"ningún", r"pas de",
    r"aucune?", r"sans", r"sem\b", r"nenhum", r"nessun", r"geen", r"zero",
)  # fmt: skip
CRITERIA = _any(
    r"success criteria", r"acceptance", r"success\w* if", r"definition of done", r"done when", r"criteria",
    r"kpis?", r"goals?", r"targets?", r"performance expectations", r"slos?", r"metrics", r"go/no-go",
    r"erfolgskriterien", r"abnahme\w*", r"kriterien", r"ziele", r"criterios", r"éxito", r"critères", r"succès",
    r"critérios", r"criteri\b", r"thresholds?", r"schwell\w+", r"umbral\w*",
    inside="成功基準|成功条件|合格基準|成功标准|验收标准",
)  # fmt: skip
SECRETS = _any(
    r"secrets?", r"environment", r"env\b", r"api[ -]?keys?", r"credentials?", r"keys?\b",
    r"geheimnis\w*", r"umgebung\w*", r"schlüssel", r"secretos?", r"variables?", r"claves?", r"clés?", r"segredos?",
    r"chaves?", r"chiav[ei]",
)  # fmt: skip
WARNING = _any(
    r"warn\w*", r"alert\w*", r"soft", r"advert\w*", r"avis\w*", r"alert[ae]",
)  # fmt: skip
CRITICAL = _any(
    r"critical", r"hard", r"stop", r"max\w*", r"cap\b", r"kritisch\w*", r"crític\w*", r"critique", r"critic[oa]",
)  # fmt: skip
SPEND = _any(
    r"spend\w*", r"budget", r"cost\w*", r"billing", r"alerts?", r"kosten", r"ausgaben", r"gastos?", r"presupuesto",
    r"coûts?", r"custos?", r"cost[oi]", r"thresholds?", r"limit\w*",
)  # fmt: skip
NOT = re.compile(r"(?i)^\W*(?:❌|✗|✘|🚫|no|não|nein|non|nee|none|nada)\b|^\W*(?:❌|✗|✘|🚫)")  # a cell of a table
DEPLOYS = re.compile(r"(?i)deploy|déploy|despleg|public|ausroll|rilasc|发布|デプロイ")
PROD = _any(
    r"prod\w*", r"live", r"produktion\w*", r"producción", r"produção", r"produzione", r"productie",
)  # fmt: skip
PLACES = re.compile(r"(?i)(?<![\w.-])(staging|stage|preview|dev(?:elopment)?|qa|uat|demo)(?![\w])")
