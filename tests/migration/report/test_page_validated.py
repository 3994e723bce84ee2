"""The page before the checker of the HTML standard's editors, vnu: https://validator.github.io/validator/

It is a Java program from npm (`vnu-jar`); `.ci/run` installs both. html5lib's strict parser, which `test_page.py` uses,
finds what does not parse; vnu also finds elements where they may not stand, attributes with wrong values, and bad CSS.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from migration.report.figures import figures
from migration.report.page import page
from tests.support import reported
from tests.support.project import ROOT

JAR = ROOT / ".cutover" / "cli" / "node_modules" / "vnu-jar" / "build" / "dist" / "vnu.jar"
# A property of SVG 2 that browsers draw and the checker's list lacks: https://www.w3.org/TR/SVG2/painting.html#PaintOrder
KNOWN = ".*paint-order.*"


@pytest.mark.long
def test_standard_s_checker_finds_no_error(tmp_path: Path) -> None:
    """Neither on an ordinary day nor where every text from outside is hostile; and it does find one that is made."""
    java = shutil.which("java")
    if java is None or not JAR.exists():
        why = "needs Java and: npm install --prefix .cutover/cli vnu-jar@26.9.27"
        (pytest.fail if os.environ.get("TEST_EVERYTHING") else pytest.skip)(why)
    files = [tmp_path / name for name in ("calm.html", "hostile.html", "wrong.html")]
    for file, text in zip(files, ("", "<b>x</b>\"'&", ""), strict=True):
        file.write_text(page(figures(reported.facts(text))), encoding="utf-8")
    files[2].write_text(files[2].read_text(encoding="utf-8").replace("<main", "<main align=left", 1), encoding="utf-8")
    done = subprocess.run(
        [java, "-jar", str(JAR), "--errors-only", "--format", "gnu", "--filterpattern", KNOWN, *map(str, files)],
        capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    errors = [line for line in done.stderr.splitlines() if ": error: " in line]
    assert len(errors) == 1 and "wrong.html" in errors[0] and "align" in errors[0], done.stderr
