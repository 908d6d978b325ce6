"""Routes that write: repos, branches, LFS objects, commits."""

import base64
import hashlib
import json
from pathlib import Path, PurePosixPath

from .options import HubError
from .reads import Reads
from .store import LFS_NAME, write_file


class Writes(Reads):
    """Everything uploads ask for."""

    def r_whoami(self):
        """Answer with the owner of this token."""
        if not self.bearer() or (self.hub.options.token and not self.authed()):
            raise HubError(401, "Invalid username or password.")
        user = self.hub.options.user
        access = {"displayName": "local", "role": "write"}
        auth = {"type": "access_token", "accessToken": access}
        self.send_json(
            {"type": "user", "id": "0", "name": user, "fullname": user, "orgs": [], "auth": auth}
        )

    def named_repo(self, asked):
        """Return the repo a request body names."""
        return f"{asked.get('organization') or self.hub.options.user}/{asked['name']}"

    def r_create_repo(self):
        """Make an empty dataset repo."""
        if self.hub.options.token and not self.authed():
            raise HubError(401, "Invalid username or password.")
        asked = json.loads(self.body())
        repo = self.named_repo(asked)
        url = f"{self.base_url()}/datasets/{repo}"
        if asked.get("type") != "dataset":
            raise HubError(400, "only dataset repos are modelled")
        folder = self.hub.store.root / repo
        if folder.is_dir():
            error = "You already created this dataset repo"
            self.send_json({"error": error, "url": url, "id": repo}, 409)
            return
        folder.mkdir(parents=True)
        self.mark_private(folder, asked)
        self.send_json({"url": url, "name": repo, "id": repo})

    def mark_private(self, folder, asked):
        """Set or clear the private mark."""
        if asked.get("private", asked.get("visibility") == "private"):
            (folder / ".private").touch()
        else:
            (folder / ".private").unlink(missing_ok=True)

    def r_delete_repo(self):
        """Delete a repo."""
        folder = self.open_repo(self.named_repo(json.loads(self.body())), write=True)
        self.hub.store.remove(folder)
        self.send_json({})

    def r_settings(self, repo=None):
        """Make a repo private or public."""
        asked = json.loads(self.body() or b"{}")
        folder = self.open_repo(repo or self.named_repo(asked), write=True)
        self.mark_private(folder, asked)
        self.send_json({"private": (folder / ".private").exists()})

    def r_branch(self, repo, revision):
        """Make a branch."""
        base, store = self.open_repo(repo, write=True), self.hub.store
        folder = store.branch_dir(base, revision)
        if folder.is_dir() or revision == "main":
            raise HubError(409, f"Reference already exists: refs/heads/{revision}")
        start = (json.loads(self.body() or b"{}") or {}).get("startingPoint")
        files = store.snapshot(repo, start)[1]
        folder.mkdir(parents=True)
        store.link(files, folder)
        store.changed()
        self.send_json({})

    def r_yaml(self):
        """Find every dataset card good."""
        self.send_json({"errors": [], "warnings": []})

    def r_xet(self, repo, revision):
        """Refuse what is not modelled."""
        raise HubError(400, f"Xet is not modelled for {repo}@{revision}: set HF_HUB_DISABLE_XET=1")

    def r_preupload(self, repo, revision):
        """Answer for each file whether its contents are sent inside the commit or by LFS."""
        self.open_repo(repo, write=True)
        store, least = self.hub.store, self.hub.options.lfs_threshold
        # push_to_hub deletes each Parquet file after its pre-upload, so it cannot do without LFS.
        pushing = least is None and self.headers.get("User-Agent", "").startswith("datasets/")
        files = store.snapshot(repo, revision)[1]
        found = []
        for asked in json.loads(self.body())["files"]:
            name = asked["path"]
            big = least is not None and asked["size"] >= least
            lfs = bool(LFS_NAME.fullmatch(name)) if pushing else big
            entry = {"path": name, "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": False}
            if name in files:
                entry["oid"] = store.oid(files[name])[1 if lfs else 0]
            found.append(entry)
        self.send_json({"files": found})

    def lfs_path(self, oid):
        """Return where an uploaded object is stored."""
        return self.hub.store.meta / "lfs" / oid[:2] / oid

    def r_lfs_batch(self, repo):
        """Answer with the URLs for the objects that are missing here."""
        self.open_repo(repo, write=True)
        asked = json.loads(self.body())
        chunk = self.hub.options.lfs_chunk if "multipart" in asked.get("transfers", []) else None
        found = []
        for item in asked["objects"]:
            entry = {"oid": item["oid"], "size": item["size"]}
            if not self.lfs_path(item["oid"]).exists():
                entry["actions"] = {"upload": self.upload_action(item, chunk)}
            found.append(entry)
        kind = {"Content-Type": "application/vnd.git-lfs+json"}
        self.send_json({"transfer": "multipart" if chunk else "basic", "objects": found}, 200, kind)

    def upload_action(self, item, chunk):
        """Return the URLs for one object: one, or one for each part."""
        put = f"{self.base_url()}/lfs/put/{item['oid']}"
        if not chunk or item["size"] <= chunk:
            return {"href": put, "header": {}}
        parts = {f"{i + 1:05d}": f"{put}/{i + 1}" for i in range(-(-item["size"] // chunk))}
        done = f"{self.base_url()}/lfs/done/{item['oid']}"
        return {"href": done, "header": {"chunk_size": str(chunk), **parts}}

    def r_lfs_put(self, oid, part=None):
        """Take an object or a part of it."""
        data = self.body()
        if not part and hashlib.sha256(data).hexdigest() != oid:
            raise HubError(400, "content does not match its oid")
        path = self.lfs_path(oid)
        write_file(path.with_name(f"{oid}.part{part}") if part else path, data)
        etag = hashlib.sha256(data).hexdigest()[:32]
        self.send_head(200, {"Content-Length": 0, "ETag": f'"{etag}"'})

    def r_lfs_done(self, oid):
        """Join the parts of an object."""
        path = self.lfs_path(oid)
        count = len(json.loads(self.body())["parts"])
        parts = [path.with_name(f"{oid}.part{i + 1}") for i in range(count)]
        data = b"".join(part.read_bytes() for part in parts)
        if hashlib.sha256(data).hexdigest() != oid:
            raise HubError(400, "content does not match its oid")
        write_file(path, data)
        for part in parts:
            part.unlink()
        self.send_json({"success": True})

    def r_commit(self, repo, revision):
        """Apply a commit to a branch."""
        base, store = self.open_repo(repo, write=True), self.hub.store
        if self.query.get("create_pr") == "1":
            raise HubError(501, "pull requests are not modelled")
        steps = [json.loads(line) for line in self.body().splitlines() if line.strip()]
        with store.lock:
            store.changed()
            commit, files = store.snapshot(repo, revision)
            on_main = revision in ("main", commit)
            live = base if on_main else store.branch_dir(base, revision)
            store.keep(repo, commit, files)
            for step in steps:
                self.apply(step, live, files, commit)
            store.changed()
            new = store.snapshot(repo, None if on_main else revision)[0]
        url = f"{self.base_url()}/datasets/{repo}/commit/{new}"
        self.send_json({"success": True, "commitOid": new, "commitUrl": url, "hookOutput": ""})

    def apply(self, step, live, files, commit):
        """Apply one line of a commit."""
        key, value = step["key"], step["value"]
        if key == "header":
            if value.get("parentCommit") not in (None, commit):
                raise HubError(412, "A commit has happened since. Please refresh and try again.")
            return
        name = PurePosixPath(value["path"])
        if name.is_absolute() or ".." in name.parts or name.parts[0] == ".git":
            raise HubError(400, f"bad path {value['path']}")
        path = live / name
        if key == "deletedFile":
            path.unlink(missing_ok=True)
        elif key == "deletedFolder":
            self.hub.store.remove(path)
        else:
            write_file(path, self.content_of(key, value, files))

    def content_of(self, key, value, files):
        """Return the contents that a line of a commit adds."""
        if key == "file":
            text = value["content"]
            return base64.b64decode(text) if value.get("encoding") == "base64" else text.encode()
        if key != "lfsFile":
            raise HubError(400, f"unknown operation {key}")
        path = self.lfs_path(value["oid"])
        if path.exists():
            return path.read_bytes()
        for blob in files.values():  # a copy inside the Hub: found by its hash
            if self.hub.store.oid(blob)[1] == value["oid"]:
                return Path(blob.path).read_bytes()
        raise HubError(400, f"lfs object {value['oid']} was never uploaded")
