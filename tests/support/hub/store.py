"""The repos on disk: snapshots, commits, branches and content hashes."""

import hashlib
import os
import re
import shutil
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from .options import HubError

LFS_NAME = re.compile(
    r".*\.(parquet|tar|zip|gz|zst|bz2|xz|7z|arrow|bin|npy|npz|h5|pt|safetensors"
    r"|jpe?g|png|webp|gif|tiff?|bmp|mp3|wav|flac|mp4|mkv|ogg)",
    re.IGNORECASE,
)
"""What a Hub dataset repo tracks with LFS."""

MAIN = (None, "main", "HEAD", "refs/heads/main")


class Blob(NamedTuple):
    """One file of a repo as it is stored on disk."""

    path: str
    size: int
    mtime_ns: int


def write_file(path, data):
    """Write data atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tmp = path.with_name(f"{path.name}.{threading.get_ident()}.hub-tmp")
    tmp.write_bytes(data)
    tmp.replace(path)


def last_commit(mtime_ns):
    """Return the fields of a commit made at that time."""
    when = datetime.fromtimestamp(mtime_ns / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return {"id": "0" * 40, "title": "local", "date": when}


class Store:
    """Files on disk, with content hashes cached by (path, size, mtime)."""

    def __init__(self, root, options):
        self.root, self.options = Path(root).resolve(), options
        self.meta = self.root / ".hub"
        self.hashes, self.trees, self.lock = {}, {}, threading.RLock()

    def repo_dir(self, repo):
        """Return the folder of a repo, None when there is none."""
        if not re.fullmatch(r"[\w.\-]+/[\w.\-]+", repo) or ".." in repo or repo.startswith("."):
            return None
        folder = self.root / repo
        return folder if folder.is_dir() else None

    def files(self, base):
        """Return {name: Blob} of everything served below a folder, sorted by name."""
        found = {}
        for folder, subs, names in os.walk(base):
            subs[:] = [s for s in subs if s not in (".git", ".cache", ".branches")]
            for name in names:
                if Path(folder) == base and name in (".private", ".gated"):
                    continue
                path = Path(folder, name)
                stat = path.stat()
                found[path.relative_to(base).as_posix()] = Blob(
                    str(path), stat.st_size, stat.st_mtime_ns
                )
        return dict(sorted(found.items()))

    def commit_of(self, files):
        """Return the commit id that stands for these files."""
        digest = hashlib.sha1(usedforsecurity=False)
        for name, blob in files.items():
            digest.update(f"{name}\0{blob.size}\0{blob.mtime_ns}\n".encode())
        return digest.hexdigest()

    def branch_dir(self, base, branch):
        """Return where the files of a branch lie."""
        return base / ".branches" / quote(branch, safe="")

    def branches(self, base):
        """Return the folders of all branches but main."""
        folder = base / ".branches"
        return sorted(folder.iterdir()) if folder.is_dir() else []

    def live(self, folder):
        """Return (commit, files) of a branch as it is now."""
        with (
            self.lock
        ):  # a walk for each request would dominate on trees of many files: kept for half a second
            hit = self.trees.get(folder)
            if hit and time.monotonic() - hit[0] < 0.5:
                return hit[1], hit[2]
            files = self.files(folder)
            commit = self.commit_of(files)
            self.trees[folder] = (time.monotonic(), commit, files)
            return commit, files

    def snapshot(self, repo, revision):
        """Return (commit, {name: Blob}) of main (None), a branch, or a commit."""
        base = self.repo_dir(repo)
        if revision not in MAIN and self.branch_dir(base, revision).is_dir():
            return self.live(self.branch_dir(base, revision))
        commit, files = self.live(base)
        if revision in MAIN or (len(revision) >= 7 and commit.startswith(revision)):
            return commit, files
        for branch in self.branches(base):
            commit, files = self.live(branch)
            if commit == revision:
                return commit, files
        old = self.meta / "commits" / repo / revision
        if re.fullmatch(r"[0-9a-f]{40}", revision) and old.is_dir():
            return revision, self.files(old)
        raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")

    def keep(self, repo, commit, files):
        """Keep a commit readable under its id after the branch moves on (hard links, no copies)."""
        folder = self.meta / "commits" / repo / commit
        if not folder.is_dir():
            self.link(files, folder)

    def link(self, files, folder):
        """Hard-link files into a folder."""
        for name, blob in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.hardlink_to(blob.path)

    def changed(self):
        """Forget what was cached of the trees."""
        with self.lock:
            self.trees.clear()

    def remove(self, folder):
        """Delete a repo."""
        shutil.rmtree(folder)
        self.changed()

    def oid(self, blob):
        """Return (git blob sha1, sha256) of a file."""
        if blob not in self.hashes:
            data = Path(blob.path).read_bytes()
            git = hashlib.sha1(b"blob %d\0" % len(data), usedforsecurity=False)
            git.update(data)
            self.hashes[blob] = git.hexdigest(), hashlib.sha256(data).hexdigest()
        return self.hashes[blob]

    def is_lfs(self, name, size):
        """Return whether the Hub would keep this file out of git."""
        return bool(LFS_NAME.fullmatch(name)) or size >= self.options.lfs_min

    def entry(self, name, blob, *, expand=False):
        """Return a file as the tree API describes it."""
        git, sha256 = self.oid(blob)
        entry = {"type": "file", "oid": git, "size": blob.size, "path": name}
        if self.is_lfs(name, blob.size):
            entry["lfs"] = {"oid": sha256, "size": blob.size, "pointerSize": 134}
        if expand:
            entry["lastCommit"] = last_commit(blob.mtime_ns)
            status = {"status": "safe", "avScan": None, "pickleImportScan": None}
            entry["securityFileStatus"] = status
        return entry

    def folder_entry(self, name, *, expand=False):
        """Return a folder as the tree API describes it."""
        oid = hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()
        entry = {"type": "directory", "oid": oid, "size": 0, "path": name}
        if expand:
            entry["lastCommit"] = last_commit(0)
        return entry

    def listing(self, files, sub, *, recursive):
        """Return the (name, Blob or None) under `sub`, folders included, sorted."""
        sub = sub.strip("/")
        if sub in files:
            return [(sub, files[sub])]
        prefix = sub + "/" if sub else ""
        found = {}
        for name, blob in files.items():
            if not name.startswith(prefix):
                continue
            parts = name[len(prefix) :].split("/")
            for depth in range(1, len(parts) if recursive else min(2, len(parts))):
                found[prefix + "/".join(parts[:depth])] = None
            if recursive or len(parts) == 1:
                found[name] = blob
        if not found and sub:
            raise HubError(404, f'{sub} does not exist on "main"', "EntryNotFound")
        return sorted(found.items())
