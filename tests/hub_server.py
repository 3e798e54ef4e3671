"""A stand-in for the hub: as much of its HTTP interface as models need.

Weights go up and down as on the hub, by Git LFS: asked for in a batch, put
where that says, named in the commit, given by another address. Newer clients
have a storage protocol of their own, Xet, in a compiled library; they do the
same without it, by ``HF_HUB_DISABLE_XET=1``.
"""

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

#: What a new repository on the hub keeps by LFS.
LFS = (".ckpt", ".safetensors", ".onnx")


class Hub(http.server.BaseHTTPRequestHandler):
    """Repositories in memory; ``kept`` maps ids to files.

    ``stored`` maps the hashes of what has come by LFS to it.
    """

    protocol_version = "HTTP/1.1"
    kept: ClassVar[dict[str, dict[str, bytes]]]
    private: ClassVar[set[str]]
    stored: ClassVar[dict[str, bytes]]

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
        if self.path.endswith(".git/info/lfs/objects/batch"):
            return self._batch(json.loads(body))
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
                            "uploadMode": "lfs"
                            if one["path"].endswith(LFS)
                            else "regular",
                            "shouldIgnore": False,
                        }
                        for one in files
                    ]
                }
            )
        return self._commit(hub_id, body)

    def _batch(self, told):
        """Say where the contents go that are not here yet."""
        objects = []
        for one in told["objects"]:
            if one["oid"] not in self.stored:
                href = f"{self._storage()}/lfs/{one['oid']}"
                one = one | {"actions": {"upload": {"href": href}}}
            objects.append(one)
        return self._answer({"transfer": "basic", "objects": objects})

    def do_PUT(self):
        """Take a content by LFS; its address holds its hash."""
        content = self.rfile.read(int(self.headers["Content-Length"]))
        found = hashlib.sha256(content).hexdigest()
        if self.path != f"/lfs/{found}":
            return self._answer({"error": f"{found} came"}, 400)
        self.stored[found] = content
        return self._answer(b"")

    def _commit(self, hub_id, body):
        """Add and delete files."""
        for line in body.splitlines():
            told = json.loads(line)
            if told["key"] == "file":
                value = told["value"]
                content = base64.b64decode(value["content"])
                self.kept[hub_id][value["path"]] = content
            elif told["key"] == "lfsFile":
                value = told["value"]
                content = self.stored[value["oid"]]
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
        if parts[0] == "lfs":
            return self._answer(self.stored[parts[1]])
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
        told = {"ETag": f'"{etag}"', "X_Repo_Commit": COMMIT}
        if etag not in self.stored:
            return self._answer(content, **told)
        return self._answer(
            b"",
            302,
            Location=f"{self._storage()}/lfs/{etag}",
            X_Linked_ETag=f'"{etag}"',
            X_Linked_Size=str(len(content)),
            **told,
        )

    do_HEAD = do_GET

    def _storage(self) -> str:
        """Another host, as on the hub: it must not be told who is logged in."""
        return self._address().replace("127.0.0.1", "localhost")

    def _address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"


@contextmanager
def running() -> Iterator[tuple[str, dict[str, dict[str, bytes]]]]:
    """Address of a hub, and what it keeps."""

    class Own(Hub):
        kept: ClassVar[dict] = {}
        private: ClassVar[set] = set()
        stored: ClassVar[dict] = {}

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Own)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", Own.kept
    finally:
        server.shutdown()
        thread.join()
