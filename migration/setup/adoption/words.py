"""The words by which plans say what a part is about, in the languages that plans are written in.

English, German, Spanish, French, Portuguese, Italian, Dutch; others still give what commands, paths and addresses say.
"""

from __future__ import annotations

import re


def _any(*words: str) -> re.Pattern[str]:
    return re.compile(rf"(?i)(?<![\w-])(?:{'|'.join(words)})")


UNCHANGED = _any(
    r"unchanged", r"untouched", r"not (?:be )?(?:changed|touched|modified|affected)",
    r"(?:do|does|must) not (?:change|touch)", r"don'?t (?:change|touch)", r"leave (?:\w+ )?alone", r"no changes?",
    r"out of scope", r"keep as is", r"stays? (?:as|on)", r"unverändert", r"bleib(?:t|en)",
    r"nicht (?:anfassen|geändert|betroffen)", r"sin cambios", r"no (?:se )?(?:cambia|toca)\w*", r"inchangée?s?",
    r"ne (?:pas|change)", r"inalterad[oa]s?", r"sem alteraç", r"invariat[oaie]", r"ongewijzigd",
)  # fmt: skip
MODIFIED = _any(
    r"modified", r"changed (?:files|functions)", r"files? (?:changed|modified|to change)",
    r"functions? (?:to|that|we) \w+", r"updated (?:files|functions)", r"new files", r"in scope",
    r"what (?:changes|changed|moves)", r"affected", r"geänderte?n?", r"betroffene?n?", r"neue dateien",
    r"modificad[oa]s", r"archivos", r"funciones (?:a|que)", r"modifiée?s", r"fichiers", r"alterad[oa]s",
    r"modificat[ei]", r"gewijzigde",
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
    r"verwacht\w*", r"suchen nach", r"achten auf",
)  # fmt: skip
LOGGED = _any(
    r"\w*logs?\b", r"logging", r"log (?:lines?|entries)", r"look for", r"watch for", r"monitor\w*", r"protokoll\w*",
    r"registros?", r"journa(?:l|ux)", r"registr[oi]", r"grep",
)  # fmt: skip
NEGATIVE = _any(
    r"no\b", r"not\b", r"never", r"without", r"keine?\b", r"nicht", r"ohne", r"sin\b", r"ningún", r"pas de",
    r"aucune?", r"sans", r"sem\b", r"nenhum", r"nessun", r"geen", r"zero",
)  # fmt: skip
CRITERIA = _any(
    r"success criteria", r"acceptance", r"success\w* if", r"definition of done", r"done when", r"criteria",
    r"kpis?", r"goals?", r"targets?", r"performance expectations", r"slos?", r"metrics", r"go/no-go",
    r"erfolgskriterien", r"abnahme\w*", r"kriterien", r"ziele", r"criterios", r"éxito", r"critères", r"succès",
    r"critérios", r"criteri\b", r"thresholds?", r"schwell\w+", r"umbral\w*",
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
PROD = _any(
    r"prod\w*", r"live", r"produktion\w*", r"producción", r"produção", r"produzione", r"productie",
)  # fmt: skip
PLACES = re.compile(r"(?i)(?<![\w-])(staging|stage|preview|dev(?:elopment)?|qa|uat|demo)(?![\w])")
