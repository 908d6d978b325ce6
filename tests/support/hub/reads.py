"""Routes that read: file contents, trees, repo facts."""

import base64
import hashlib
import json
import time
from urllib.parse import parse_qs, quote, unquote

from .options import HubError
from .store import last_commit
from .wire import Wire

TRUE = ("1", "true", "True")


class Reads(Wire):
    """Everything `load_dataset` and downloads ask for."""

    def open_repo(self, repo, *, content=False, write=False):
        """Return the repo's folder, or fail as the Hub does."""
        self.repo = repo
        authed = self.authed()
        folder = self.hub.store.repo_dir(repo)
        if folder is None or ((folder / ".private").exists() and not authed):
            # As the Hub does: without access, a private repo looks like a missing one.
            if self.bearer() is None:
                login = {"WWW-Authenticate": 'Bearer realm="Authentication required"'}
                raise HubError(401, "Invalid username or password.", "RepoNotFound", login)
            raise HubError(404, "Repository not found", "RepoNotFound")
        if content and (folder / ".gated").exists() and not authed:
            message = (
                f"HubAccess to dataset {repo} is restricted and you are not in the authorized list."
            )
            raise HubError(403 if self.bearer() else 401, message, "GatedRepo")
        if write and self.hub.options.token and not authed:
            raise HubError(403 if self.bearer() else 401, "Forbidden: write access needs the token")
        return folder

    def r_resolve(self, repo, revision, name):
        """Answer with a small file, or send the client to the CDN for a big one."""
        self.open_repo(repo, content=True)
        store, options = self.hub.store, self.hub.options
        commit, files = store.snapshot(repo, revision)
        blob = files.get(name)
        if blob is None:
            raise HubError(404, "Entry not found", "EntryNotFound", {"X-Repo-Commit": commit})
        git, sha256 = store.oid(blob)
        headers = {"X-Repo-Commit": commit, "Accept-Ranges": "bytes", "X-Request-Id": "local"}
        if not store.is_lfs(name, blob.size):
            self.send_file(blob, {**headers, "ETag": f'"{git}"'})
            return
        headers |= {
            "X-Linked-Size": blob.size,
            "X-Linked-ETag": f'"{sha256}"',
            "ETag": f'"{sha256}"',
        }
        if not options.redirect:
            self.send_file(blob, headers)
            return
        signed = f"Expires={time.time() + options.signed_for_s}&Signature={self.hub.sign()}"
        url = f"{self.hub.cdn_url}/cdn/{repo}/{commit}/{quote(name)}?{signed}"
        self.send_head(302, {**headers, "Location": url, "Content-Length": 0})

    def r_cdn(self, repo, revision, name):
        """Answer with file contents behind a signed URL."""
        self.repo = repo
        if self.bearer() and self.hub.cdn_url != self.hub.url:
            raise HubError(400, "a token came to the content host")
        is_valid = self.query.get("Signature") == str(self.hub.sign())
        if float(self.query.get("Expires", 0)) < time.time() or not is_valid:
            raise HubError(403, "AccessDenied: signed url expired")
        blob = self.hub.store.snapshot(repo, revision)[1].get(name)
        if blob is None:
            raise HubError(404, "NoSuchKey")
        etag = self.hub.store.oid(blob)[1]
        # Where both hosts are one, HEADs follow the redirect and want the commit here.
        commit = {"X-Repo-Commit": revision} if self.hub.cdn_url == self.hub.url else {}
        self.send_file(blob, {**commit, "ETag": f'"{etag}"', "Accept-Ranges": "bytes"})

    def r_tree(self, repo, revision, name=None):
        """List a folder, in pages."""
        self.open_repo(repo)
        store, most = self.hub.store, self.hub.options.page_size
        files = store.snapshot(repo, revision)[1]
        expand = self.query.get("expand") in TRUE
        found = store.listing(files, name or "", recursive=self.query.get("recursive") in TRUE)
        size = min(int(self.query.get("limit") or most), 50 if expand else most)
        cursor = self.query.get("cursor")
        at = int(base64.urlsafe_b64decode(cursor)) if cursor else 0
        page = [
            store.entry(n, blob, expand=expand) if blob else store.folder_entry(n, expand=expand)
            for n, blob in found[at : at + size]
        ]
        headers = {"Link": self.next_link(at + size)} if at + size < len(found) else {}
        self.send_json(page, headers=headers)

    def next_link(self, at):
        """Return the header that leads to the next page."""
        query = {**self.query, "cursor": base64.urlsafe_b64encode(str(at).encode()).decode()}
        text = "&".join(f"{k}={quote(v, safe='')}" for k, v in query.items())
        return f'<{self.base_url()}{self.url_path}?{text}>; rel="next"'

    def r_paths_info(self, repo, revision):
        """Describe the asked files."""
        self.open_repo(repo)
        store, body = self.hub.store, self.body()
        if "json" in self.headers.get("Content-Type", ""):
            asked = json.loads(body or b"{}")
            names, expand = asked.get("paths", []), asked.get("expand") is True
        else:
            asked = parse_qs(body.decode())
            names, expand = asked.get("paths", []), asked.get("expand", [""])[-1] in TRUE
        files = store.snapshot(repo, revision)[1]
        found = []
        for name in (n.strip("/") for n in names):
            if name in files:
                found.append(store.entry(name, files[name], expand=expand))
            elif any(other.startswith(name + "/") for other in files):
                found.append(store.folder_entry(name, expand=expand))
        self.send_json(found)

    def sibling(self, name, blob):
        """Describe a file inside the repo's facts."""
        if self.query.get("blobs") not in TRUE:
            return {"rfilename": name}
        entry = self.hub.store.entry(name, blob)
        lfs = entry.get("lfs")
        facts = {"rfilename": name, "size": entry["size"], "blobId": entry["oid"]}
        if lfs:
            facts["lfs"] = {"sha256": lfs["oid"], "size": lfs["size"], "pointerSize": 134}
        return facts

    def r_info(self, repo, revision=None):
        """Describe a repo at a revision."""
        folder = self.open_repo(repo)
        commit, files = self.hub.store.snapshot(repo, revision)
        when = last_commit(max((b.mtime_ns for b in files.values()), default=0))["date"]
        facts = {
            "_id": hashlib.sha256(repo.encode()).hexdigest()[:24],
            "id": repo,
            "author": repo.split("/")[0],
            "sha": commit,
            "lastModified": when,
            "createdAt": when,
            "private": (folder / ".private").exists(),
            "gated": "auto" if (folder / ".gated").exists() else False,
            "disabled": False,
            "tags": [],
            "downloads": 0,
            "likes": 0,
            "cardData": {},
            "siblings": [self.sibling(n, b) for n, b in files.items()],
            "usedStorage": sum(b.size for b in files.values()),
        }
        self.send_json(facts)

    def r_refs(self, repo):
        """List the branches."""
        folder, store = self.open_repo(repo), self.hub.store
        names = ["main", *(unquote(b.name) for b in store.branches(folder))]
        branches = [
            {"name": n, "ref": f"refs/heads/{n}", "targetCommit": store.snapshot(repo, n)[0]}
            for n in names
        ]
        self.send_json({"branches": branches, "tags": [], "converts": []})

    def r_commits(self, repo, revision):
        """List the last commit."""
        self.open_repo(repo)
        commit, files = self.hub.store.snapshot(repo, revision)
        facts = last_commit(max((b.mtime_ns for b in files.values()), default=0))
        author = {"user": self.hub.options.user}
        more = {"id": commit, "message": "", "authors": [author], "parents": []}
        self.send_json([{**facts, **more}])
