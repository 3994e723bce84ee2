"""The Management API in this process: the real app without a port, and uploads as the CLI makes them."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from httpx import Response

from migration.rehearsal.server import build

with warnings.catch_warnings():  # the successor it asks for is another client than the one we use
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

HELLO = 'Deno.serve(() => new Response("hi"));\n'


class Platform:
    """Requests to one project; its log engine and its workers stay unstarted until something needs them."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        own = {"rate_limit": {"default": 0}, **settings}
        app, self.sandbox = build(folder, {"management": own})
        self.sandbox.url = "http://testserver"
        token = self.sandbox.identity.access_token
        self.client = TestClient(app, headers={"Authorization": f"Bearer {token}"}, raise_server_exceptions=True)
        self.base = f"/v1/projects/{self.sandbox.identity.project_ref}"

    def ask(self, method: str, path: str, **more: Any) -> Response:
        answer: Response = self.client.request(method, self.base + path, **more)
        return answer

    def upload(self, slug: str, files: Mapping[str, str | bytes], *, stage: bool = False, **metadata: Any) -> Response:
        """Deploy these files, or only stage them; the entrypoint is the function's index.ts unless named."""
        entrypoint = f"supabase/functions/{slug}/index.ts"
        about = {"entrypoint_path": entrypoint, "import_map_path": "", "static_patterns": [], "name": slug, **metadata}
        parts: list[Any] = [("file", (path, data, "application/octet-stream")) for path, data in files.items()]
        parts.append(("metadata", (None, json.dumps(about))))
        params = {"slug": slug} | ({"bundleOnly": "true"} if stage else {})
        return self.ask("POST", "/functions/deploy", params=params, files=parts)

    def hello(self, slug: str = "hello", text: str = HELLO, **more: Any) -> Response:
        return self.upload(slug, {f"supabase/functions/{slug}/index.ts": text}, **more)

    def versions(self) -> dict[str, int]:
        """What the list says is live."""
        return {row["slug"]: row["version"] for row in self.ask("GET", "/functions").json()}

    def fault(self, operation: str, do: str, **more: Any) -> Response:
        answer: Response = self.client.post("/_sandbox/faults", json={"operation": operation, "do": do, **more})
        return answer

    def history(self) -> list[dict[str, Any]]:
        return list(self.client.get("/_sandbox/history").json()["entries"])
