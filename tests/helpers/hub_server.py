"""A miniature of the Hugging Face Hub on localhost: as much of its protocol as moving files both ways takes."""

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar


class HubServer:
    """Serves files while the `with` block lasts.

    Args:
        repos: by repository id, by revision, by file name: the content in bytes.

    Attributes:
        url: what HF_ENDPOINT is to be set to.
        requests: (method, path, Authorization header or None) of every request for a file, and of every upload.
        created: what was asked for of new repositories; one without an owner becomes that of `me`.
        refusal: status that answers uploads, with this text; None takes them into `repos`.
    """

    def __init__(self, repos: dict[str, dict[str, dict[str, bytes]]]) -> None:
        self.repos = repos
        self.requests: list[tuple[str, str, str | None]] = []
        self.created: list[dict] = []
        self.refusal: tuple[int, str] | None = None
        handler = type("Handler", (_Handler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "HubServer":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: ClassVar[HubServer]

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.hub.requests.append((self.command, self.path, self.headers.get("Authorization")))
        path = self.path.removeprefix("/api/")
        if path == "validate-yaml":
            return self._reply_json({"warnings": [], "errors": []})
        if path == "repos/create":
            asked = json.loads(body)
            self.hub.created.append(asked)
            repo = f"{asked.get('organization') or 'me'}/{asked['name']}"
            self.hub.repos.setdefault(repo, {"main": {}})
            return self._reply_json({"url": f"{self.hub.url}/{repo}"})
        if self.hub.refusal is not None:
            status, text = self.hub.refusal
            return self._reply(status, {"X-Error-Message": text})
        repo, action, revision = path.removeprefix("models/").rsplit("/", 2)
        lines = [json.loads(line) for line in body.splitlines()]
        if action == "preupload":
            files = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False} for file in lines[0]["files"]
            ]
            return self._reply_json({"files": files})
        added = [line["value"] for line in lines if line["key"] == "file"]
        self.hub.repos[repo][revision] |= {file["path"]: base64.b64decode(file["content"]) for file in added}
        commit = hashlib.sha1(body).hexdigest()
        return self._reply_json(
            {"success": True, "commitOid": commit, "commitUrl": f"{self.hub.url}/{repo}/commit/{commit}"}
        )

    def _reply_json(self, content: dict) -> None:
        self._reply(200, {"Content-Type": "application/json"}, json.dumps(content).encode())

    def _answer(self) -> None:
        repo, found, rest = self.path.partition("/resolve/")
        revision, _, name = rest.partition("/")
        if not found:  # not a file: whatever else a client asks for is not here
            return self._reply(404, {})
        self.hub.requests.append((self.command, self.path, self.headers.get("Authorization")))
        revisions = self.hub.repos.get(repo.strip("/"))
        if revisions is None:
            return self._reply(404, {"X-Error-Code": "RepoNotFound"})
        if revision not in revisions:
            return self._reply(404, {"X-Error-Code": "RevisionNotFound"})
        commit = {"X-Repo-Commit": hashlib.sha1(f"{repo}/{revision}".encode()).hexdigest()}
        if name not in revisions[revision]:
            return self._reply(404, {**commit, "X-Error-Code": "EntryNotFound"})
        content = revisions[revision][name]
        return self._reply(200, {**commit, "ETag": f'"{hashlib.sha1(content).hexdigest()}"'}, content)

    def _reply(self, status: int, headers: dict[str, str], content: bytes = b"") -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def handle(self) -> None:
        try:
            super().handle()
        except TypeError:
            self.close_connection = True  # a repository that is no dictionary plays a server that breaks down

    def log_message(self, *_: object) -> None:
        pass
