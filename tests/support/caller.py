"""Raw requests to a running sandbox, so that a broken connection is seen as it is."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

from migration.rehearsal.server import Running

FUNCTION = b"Deno.serve(() => new Response());"
METADATA = {"entrypoint_path": "supabase/functions/hello/index.ts", "import_map_path": "", "verify_jwt": False}


class Caller:
    """One connection at a time, read byte by byte where it matters."""

    def __init__(self, sandbox: Running) -> None:
        self.where = urlsplit(sandbox.url).netloc
        self.base = f"/v1/projects/{sandbox.project_ref}"
        self.headers = {"Authorization": f"Bearer {sandbox.access_token}"}

    def ask(
        self, method: str, path: str, body: bytes | None = None, timeout: float = 5, **headers: str
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self.where, timeout=timeout)
        try:
            connection.request(method, self.base + path, body, self.headers | headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def upload(self, slug: str = "hello", only: bool = False) -> tuple[int, bytes]:
        metadata = json.dumps(METADATA).encode()
        file = b'name="file"; filename="supabase/functions/hello/index.ts"\r\n\r\n' + FUNCTION
        about = b'name="metadata"\r\n\r\n' + metadata
        parts = [b"--b\r\nContent-Disposition: form-data; " + part + b"\r\n" for part in (file, about)]
        query = f"?slug={slug}" + ("&bundleOnly=true" if only else "")
        kind: dict[str, Any] = {"Content-Type": "multipart/form-data; boundary=b"}
        return self.ask("POST", f"/functions/deploy{query}", b"".join(parts) + b"--b--\r\n", **kind)
