"""One shard in a remote store: its bytes are proven by the store's checksum, not read.

Apart from `shard`, which reads the bytes: this asks the store about them.
"""

from wdsremux.stores.base import Proof, ProofLevel, Sums
from wdsremux.stores.reading.remote_folder import RemoteFolder
from wdsremux.verifying.checks.reading import finding_of
from wdsremux.verifying.checks.shard import ShardResult
from wdsremux.verifying.checks.shard_tasks import ShardTask
from wdsremux.verifying.findings import Code
from wdsremux.verifying.reports import Collector

LASTING = frozenset(("crc64nvme", "etag"))
"""Parts of a receipt that the store reports of an object until it is overwritten."""


def prove_shard(task: ShardTask, folder: RemoteFolder) -> ShardResult:
    """Ask whether a store has a shard as it is recorded, and report differences.

    Raises StoreError when the store cannot be reached.
    """
    found = Collector(task.name)
    level: ProofLevel = "unverified"
    try:
        level = _level(task, folder, found)
    except OSError as exc:
        found.take(finding_of(exc, task.name))
    return ShardResult(task, found.findings(), found.counts, task.samples or 0, proof=level)


def _level(task: ShardTask, folder: RemoteFolder, found: Collector) -> ProofLevel:
    if not task.sums:
        found.add(Code.UNVERIFIED, "no SHA-256 is recorded")
        return "unverified"
    if task.recorded_bytes != task.size_bytes:
        return "differs"  # reported with the entries
    proofs = [folder.prove(task.name, _sums(task, one)) for one in task.sums]
    proof = next((one for one in proofs if one.is_there), proofs[0])
    _report(proof, task, found)
    if proof.is_there and proof is not proofs[0]:
        found.add(Code.SUM_STALE, "the shard matches its entry, not index.json")
    return proof.level


def _sums(task: ShardTask, sha256: str) -> Sums:
    receipt = task.receipt if sha256 == task.sums[0] else {}
    return Sums(task.size_bytes, sha256, receipt)


def _report(proof: Proof, task: ShardTask, found: Collector) -> None:
    if proof.level == "absent":
        found.add(Code.SHARD_MISSING, "it disappeared during the check")
    elif proof.level == "differs":
        compared = f"by {proof.how}; " if proof.how else ""
        found.add(Code.BYTES_DAMAGED, f"{compared}`wdsremux verify --deep` finds the sample")
    elif proof.level == "unverified":
        is_other = not LASTING.isdisjoint(task.receipt)
        detail = "it was overwritten since it was uploaded" if is_other else proof.how
        found.add(Code.UNVERIFIED, detail)
