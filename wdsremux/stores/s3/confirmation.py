"""Confirms what a server holds of a file: before it is sent, after it, and after a refusal."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from wdsremux.core.errors import StoreError, UnreachableStoreError
from wdsremux.stores.base import Proof, Sums
from wdsremux.stores.s3.abilities import ServerAbilities
from wdsremux.stores.s3.bucket import Bucket
from wdsremux.stores.s3.checksums import MIB
from wdsremux.stores.s3.errors import RefusalError
from wdsremux.stores.s3.proof import (
    ProofRequest,
    note_of,
    proof_of,
    recalled_receipt,
    seen_object,
    shows_other_bytes,
)

READ_BACK_BYTES = 8 * MIB


class Confirmation:
    """The proofs of the objects of one store."""

    def __init__(
        self,
        bucket: Bucket,
        abilities: ServerAbilities,
        part_bytes: int,
        remove: Callable[[str], None],
    ) -> None:
        """`part_bytes` is the size of the parts that we send; `remove` removes a damaged object."""
        self._bucket = bucket
        self._abilities = abilities
        self._part_bytes = part_bytes
        self._remove = remove

    def proof(self, name: str, seen: Mapping[str, Any], sums: Sums, path: Path | None) -> Proof:
        """Return what the answer to HEAD proves; a query does not probe the server by writing."""
        abilities = self._abilities.known
        proof = proof_of(
            ProofRequest(self._bucket, name, seen, sums, path, abilities, self._part_bytes)
        )
        if (
            not self._abilities.is_probed
            or not proof.is_there
            or sums.receipt
            or note_of(seen) != sums.sha256
        ):
            return proof
        recalled = recalled_receipt(seen, self._abilities.known, self._part_bytes)
        return replace(proof, receipt={**recalled, **proof.receipt})

    def after_sending(self, name: str, sums: Sums, receipt: Mapping[str, str]) -> Proof:
        """Return the proof of what was sent: only what the server reports afterwards counts.

        Raises StoreError when it holds other bytes, which are removed if they are ours.
        """
        sent = replace(sums, receipt=receipt)
        seen, proof = self.asked(name, sent)
        if not proof.is_there:
            # The answer may have been damaged on its way.
            seen, proof = self.asked(name, sent)
        if seen is not None:
            if proof.level == "checksum" and seen.get("ETag"):
                receipt = {**receipt, "etag": str(seen["ETag"]).strip('"')}
            elif proof.is_there and shows_other_bytes(seen, receipt):
                return self._read_back(name, seen, sums, receipt)
        if proof.is_there:
            return replace(proof, receipt=receipt)
        if seen is not None and note_of(seen) == sums.sha256:
            self._remove(name)
        raise StoreError(
            f"cannot write {self._shown(name)}: the stored object differs from what was "
            "sent; make sure that only one run writes there, then run the same command again"
        )

    def asked(
        self, name: str, sums: Sums, path: Path | None = None
    ) -> tuple[Mapping[str, Any] | None, Proof]:
        """Return the answer to HEAD, and what it proves."""
        seen = seen_object(self._bucket, name)
        return seen, Proof("absent") if seen is None else self.proof(name, seen, sums, path)

    def _read_back(
        self, name: str, seen: Mapping[str, Any], sums: Sums, receipt: Mapping[str, str]
    ) -> Proof:
        """Compare the stored bytes with those sent.

        The ETag of a server need not be made from MD5s: it proves nothing against the bytes.
        """
        digest = hashlib.sha256()
        for start in range(0, sums.size_bytes, READ_BACK_BYTES):
            stop = min(sums.size_bytes, start + READ_BACK_BYTES)
            asked = f"bytes={start}-{stop - 1}"
            digest.update(
                self._bucket.data(name, stop - start + 1, Range=asked, IfMatch=seen["ETag"])
            )
        if digest.hexdigest() == sums.sha256:
            etag = str(seen["ETag"]).strip('"')
            return Proof("reread", "SHA-256 of the bytes read back", {**receipt, "etag": etag})
        if note_of(seen) == sums.sha256:
            self._remove(name)
        raise UnreachableStoreError(
            f"cannot write {self._shown(name)}: it arrived damaged; check the network, then "
            "run the same command again"
        )

    def after_refusal(self, name: str, sums: Sums, path: Path, refusal: RefusalError) -> Proof:
        """Return the proof that our bytes are there in spite of a refusal."""
        seen = seen_object(self._bucket, name)
        if seen is None:
            raise UnreachableStoreError(
                f"cannot write {self._shown(name)}: the server has lost what was sent of "
                "it; run the same command again"
            ) from refusal
        proof = self.proof(name, seen, sums, path)
        is_unknown = proof.level == "unverified" and note_of(seen) != sums.sha256
        if not proof.is_there or (is_unknown and refusal.is_conflict):
            raise StoreError(
                f"cannot write {self._shown(name)}: another writer has replaced it in the "
                "meantime; make sure that only one writes there, then run the same command again"
            ) from refusal
        return proof

    def _shown(self, name: str) -> str:
        return repr(f"{self._bucket.url}/{name}")
