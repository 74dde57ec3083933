"""A Hub in miniature on a local port: as much of its interface as `datasets.load_dataset` uses for one data set."""

import hashlib
import http.server
import io
import json
import threading
from contextlib import contextmanager

REPOSITORY = "nyu-mll/glue"
_COMMIT = "c" * 40


def glue_files(task, splits):
    """Return path and bytes of each file of a repository that holds `splits` (name to rows) of one task as parquet."""
    import pyarrow
    import pyarrow.parquet

    card = ["---", "configs:", f"- config_name: {task}", "  data_files:"]
    files = {}
    for split, rows in splits.items():
        card += [f"  - split: {split}", f"    path: {task}/{split}-*"]
        buffer = io.BytesIO()
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), buffer)
        files[f"{task}/{split}-00000-of-00001.parquet"] = buffer.getvalue()
    files["README.md"] = "\n".join([*card, "---", ""]).encode()
    return files


@contextmanager
def serve_dataset(files):
    """Serve `files` as the repository until the block ends.

    Yields:
        The address for HF_ENDPOINT, and the growing list of (method, path) of the requests.
    """
    requests = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            path, _, query = self.path.partition("?")
            requests.append((self.command, path))
            status, content, headers = _answer(files, path, query, body)
            self.send_response(status)
            for name, value in {"Content-Length": len(content), **headers}.items():
                self.send_header(name, str(value))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_HEAD = do_POST = answer

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", requests
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _answer(files, path, query, body):
    """Return status, content and headers for one request."""
    resolve, api = f"/datasets/{REPOSITORY}/resolve/", f"/api/datasets/{REPOSITORY}"
    if path.startswith(resolve):
        name = path.removeprefix(resolve).partition("/")[2]
        if name not in files:
            return 404, b"", {"X-Error-Code": "EntryNotFound"}
        return 200, files[name], {"ETag": f'"{_id_of(files[name])}"', "X-Repo-Commit": _COMMIT}
    if path == api or path.startswith(f"{api}/revision/"):
        siblings = [{"rfilename": name} for name in files]
        info = {"id": REPOSITORY, "sha": _COMMIT, "private": False, "tags": [], "siblings": siblings}
        return 200, json.dumps(info).encode(), {}
    if path.startswith(f"{api}/tree/"):
        folder = path.removeprefix(f"{api}/tree/").partition("/")[2]
        return 200, json.dumps(_tree(files, folder, "recursive=true" in query.lower())).encode(), {}
    if path.startswith(f"{api}/paths-info/"):
        wanted = json.loads(body)["paths"]
        return 200, json.dumps([entry for entry in _tree(files, "", True) if entry["path"] in wanted]).encode(), {}
    return 404, b"", {}


def _tree(files, folder, recursive):
    """List files and folders below `folder` as the Hub does."""
    entries = [
        {"type": "file", "path": name, "size": len(content), "oid": _id_of(content)} for name, content in files.items()
    ]
    folders = sorted({name.rpartition("/")[0] for name in files} - {""})
    entries += [{"type": "directory", "path": name, "size": 0, "oid": "0" * 40} for name in folders]
    below = [entry for entry in entries if not folder or entry["path"].startswith(f"{folder}/")]
    return below if recursive else [entry for entry in below if entry["path"].rpartition("/")[0] == folder]


def _id_of(content):
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()
