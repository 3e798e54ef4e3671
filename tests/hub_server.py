"""A stand-in for the hub: as much of its HTTP interface as models need."""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_standin"


class Hub(http.server.BaseHTTPRequestHandler):
    """Repositories in memory; ``kept`` maps ids to files."""

    protocol_version = "HTTP/1.1"
    kept: ClassVar[dict[str, dict[str, bytes]]]

    def log_message(self, *_):
        """Say nothing."""

    def _answer(self, content: object, status: int = 200, **headers: str):
        body = content
        if not isinstance(content, bytes):
            body = json.dumps(content).encode()
            headers["Content-Type"] = "application/json"
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _missing(self):
        self._answer(
            {"error": "Repository not found"},
            404,
            X_Error_Code="RepoNotFound",
            X_Error_Message="Repository not found",
        )

    def do_POST(self):
        """Make a repository, say how files go up, take a commit."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/api/validate-yaml":
            if b"license: cc\\n" in body:
                errors = [{"message": '"license" must be one of ...'}]
                return self._answer({"errors": errors, "warnings": []}, 400)
            return self._answer({"errors": [], "warnings": []})
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._answer({"error": "Invalid token"}, 401)
        parts = self.path.strip("/").split("/")
        if parts[1:] == ["repos", "create"]:
            told = json.loads(body)
            hub_id = f"{told.get('organization') or 'sita'}/{told['name']}"
            if hub_id not in self.kept:
                self.kept[hub_id] = {}
                if told.get("private") or told.get("visibility") == "private":
                    self.private.add(hub_id)
            return self._answer({"url": f"{self._address()}/{hub_id}"})
        hub_id, action = "/".join(parts[2:4]), parts[4]
        if hub_id not in self.kept:
            return self._missing()
        if action == "preupload":
            files = json.loads(body)["files"]
            return self._answer(
                {
                    "files": [
                        {
                            "path": one["path"],
                            "uploadMode": "regular",
                            "shouldIgnore": False,
                        }
                        for one in files
                    ]
                }
            )
        return self._commit(hub_id, body)

    def _commit(self, hub_id, body):
        """Add and delete files."""
        for line in body.splitlines():
            told = json.loads(line)
            if told["key"] == "file":
                value = told["value"]
                content = base64.b64decode(value["content"])
                self.kept[hub_id][value["path"]] = content
            elif told["key"] == "deletedFile":
                del self.kept[hub_id][told["value"]["path"]]
        return self._answer(
            {
                "success": True,
                "commitOid": COMMIT,
                "commitUrl": f"{self._address()}/{hub_id}/commit/{COMMIT}",
                "hookOutput": "",
            }
        )

    def do_GET(self):
        """Give a file, or tell of a repository."""
        parts = self.path.split("?")[0].strip("/").split("/")
        if parts[0] == "api":
            hub_id = "/".join(parts[2:4])
            if hub_id not in self.kept:
                return self._missing()
            files = [{"rfilename": name} for name in self.kept[hub_id]]
            told = {"id": hub_id, "modelId": hub_id, "sha": COMMIT}
            told["private"] = hub_id in self.private
            return self._answer(told | {"siblings": files})
        hub_id, name = "/".join(parts[:2]), "/".join(parts[4:])
        if hub_id not in self.kept:
            return self._missing()
        if name not in self.kept[hub_id]:
            return self._answer(
                {"error": "Entry not found"},
                404,
                X_Error_Code="EntryNotFound",
                X_Repo_Commit=COMMIT,
            )
        content = self.kept[hub_id][name]
        etag = hashlib.sha256(content).hexdigest()
        return self._answer(content, ETag=f'"{etag}"', X_Repo_Commit=COMMIT)

    do_HEAD = do_GET

    def _address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"


@contextmanager
def running() -> Iterator[tuple[str, dict[str, dict[str, bytes]]]]:
    """Address of a hub, and what it keeps."""

    class Own(Hub):
        kept: ClassVar[dict] = {}
        private: ClassVar[set] = set()

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Own)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", Own.kept
    finally:
        server.shutdown()
        thread.join()
