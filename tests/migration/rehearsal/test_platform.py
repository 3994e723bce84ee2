"""The runtime's list: each probe answers in the sandbox as on the platform."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.edge import edge
from tests.support.runtime import installed

TABLE: dict[str, Any] = yaml.safe_load((Path(__file__).parents[2] / "data" / "runtime.yaml").read_text())
PROBES: list[dict[str, str]] = [probe for probes in TABLE["probes"].values() for probe in probes]

FILES = {"note.txt": "static", "other.txt": "not static", "other.json": "{}"}


def source() -> str:
    """One function that asks all of them."""
    parts = []
    for number, probe in enumerate(PROBES):
        early = probe.get("early")
        call = f"const early{number} = probe{number}();" if early else ""
        parts.append(f"const probe{number} = async (info, req) => {{ {early or probe['code']} }}; {call}")
        parts.append(f"probes.push((info, req) => {f'early{number}' if early else f'probe{number}(info, req)'});")
    return (
        "const probes = []; const said = (error) => `${error.name}: ${error.message}`;\n"
        + "\n".join(parts)
        + "\nDeno.serve(async (req, info) => { const answers = [];"
        " for (const probe of probes) answers.push(String(await probe(info, req).catch(said)));"
        " return Response.json(answers); });"
    )


def answers(folder: Path, **settings: Any) -> dict[str, str]:
    with edge(folder, folder / "deno", **settings) as place:
        files = {f"supabase/functions/probes/{name}": text for name, text in FILES.items()}
        place.functions.deploy("probes", source(), files=files, static=("supabase/functions/probes/note.*",))
        found = place.function("probes").text
        if place.logs.of("BootFailure"):
            pytest.fail(place.logs.of("BootFailure")[0].event_message)
    return {probe["what"]: answer for probe, answer in zip(PROBES, json.loads(found), strict=True)}


EXPECTED = {probe["what"]: probe["answer"] for probe in PROBES}


def test_the_worker_is_the_platforms(tmp_path: Path) -> None:
    """On the Deno that Cutover brings."""
    assert answers(tmp_path) == EXPECTED


@pytest.mark.slow
def test_on_the_platforms_deno(tmp_path: Path) -> None:
    """On 2.1.4, as in `inv sandbox`."""
    assert answers(tmp_path, deno_path=str(installed())) == EXPECTED


def test_each_probe_names_its_source() -> None:
    assert {probe["source"] for probe in PROBES} == set(TABLE["sources"])
