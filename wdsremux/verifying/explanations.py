"""What each finding means: its cause and its consequence, for `wdsremux explain CODE`."""

from dataclasses import dataclass

from wdsremux.verifying.findings import Code, Finding

_STATE = "A disk fault, an incomplete copy, or a program other than wdsremux changed the file."
_BYTES = "A disk or memory fault, an incomplete copy, or another program changed the file."
_OTHER_TOOL = "The tool that packed the shards wrote them this way."
_EDITED = "The shard or the metadata was edited, or a tool other than wdsremux packed the samples."

_TEXTS: dict[Code, tuple[str, str]] = {
    Code.MANIFEST_UNREADABLE: (_STATE, "No command can open the dataset."),
    Code.UNFINISHED: (
        "The conversion was stopped or is still running.",
        "Loaders see only the shards that are finished so far.",
    ),
    Code.MANIFEST_DISAGREES: (_STATE, "Counts and patterns that loaders use may be wrong."),
    Code.COUNTS_WRONG: (
        _STATE,
        "Some rows are neither samples nor rejected nor filtered: data may be missing.",
    ),
    Code.SERIES_BROKEN: (
        "Shards of two conversions are mixed, or entries are lost.",
        "Rows are missing from the dataset, or are in it twice.",
    ),
    Code.SHARD_MISSING: (
        "The file was deleted, or a copy is incomplete.",
        "Loaders fail, or train without the samples of this shard.",
    ),
    Code.SHARD_EXTRA: (
        "The file is left over from another dataset, or was copied here.",
        "Loaders that read all *.tar train on its samples, too.",
    ),
    Code.SHARD_SIZE: (_BYTES, "Samples at the end of the shard are lost or damaged."),
    Code.NOT_A_FILE: (
        "A link, folder or device was created under the name of a file of the dataset.",
        "The file counts as missing: following the link could read outside of the dataset.",
    ),
    Code.UNREADABLE: (
        "The permissions do not allow it, or the disk or mount reports an error.",
        "The content of the file is unknown.",
    ),
    Code.ENTRY_MISSING: (
        "The file was deleted, or a copy left out the hidden folder .wdsremux.",
        "Samples cannot be located, and damage cannot be traced to a sample.",
    ),
    Code.ENTRY_DAMAGED: (
        _STATE,
        "Samples of this shard cannot be located; the shard may be intact.",
    ),
    Code.ENTRY_EXTRA: (
        "The entry is left over from another conversion, or its shard was deleted.",
        "None for loaders.",
    ),
    Code.ENTRY_DISAGREES: (_STATE, "`load`, `cat` and `show` refuse the samples of this shard."),
    Code.FINGERPRINT_DIFFERS: (
        "Files of two conversions are mixed, or recipe.json was edited.",
        "It is unknown by which recipe the shards were made; they may differ in image size.",
    ),
    Code.RECIPE_UNREADABLE: (_STATE, "The conversion can be neither resumed nor extended."),
    Code.REJECTED_DISAGREES: (_STATE, "The list of rejected rows is incomplete or wrong."),
    Code.KEY_DUPLICATE: (
        "Shards of two datasets are mixed, or an entry was edited.",
        "Loaders that index by key return one of the samples and lose the other.",
    ),
    Code.TEMPORARY_LEFT: (
        "A run was killed while it wrote the file.",
        "None for loaders: the file takes disk space.",
    ),
    Code.CARD_MISSING: (
        "README.md was deleted, or is one of your own.",
        "load_dataset guesses the format and loses class names.",
    ),
    Code.CARD_STALE: (
        "README.md was edited, or comes from another version of the dataset.",
        "load_dataset reads other splits, or reports other counts and features.",
    ),
    Code.UNSAFE_NAME: (
        "Someone wrote metadata that point to files outside of the dataset.",
        "The file was not opened; other metadata of the dataset cannot be trusted either.",
    ),
    Code.SHARD_MOVED: (
        "`wdsremux sync --move` removed the local shard after its upload.",
        "The shard can be read at its new location only.",
    ),
    Code.LOADER_INDEX: (
        "The shards were made again, extended or copied without the file, or it was edited.",
        "The loader that reads it fails, or reads wrong bytes; other loaders are not affected.",
    ),
    Code.SAMPLE_DAMAGED: (_BYTES, "The image or label of this sample is wrong or unreadable."),
    Code.END_DAMAGED: (_BYTES, "All samples are intact; strict tar readers report an error."),
    Code.SHARD_SWAPPED: (
        "Two shards were renamed, or one was copied over another.",
        "Samples are in the dataset twice, or under the wrong positions.",
    ),
    Code.SUM_STALE: (_STATE, "None for loaders: the shard itself is intact."),
    Code.BYTES_DAMAGED: (_BYTES, "At least one sample of the shard is damaged."),
    Code.UNVERIFIED: (
        "The store does not record a checksum, or the file was uploaded by another tool.",
        "Damage of the same size stays unnoticed.",
    ),
    Code.TAR_DAMAGED: (_BYTES, "Readers stop here, often without an error, and lose the rest."),
    Code.TAR_CUT: ("A download, copy or writer was interrupted.", "The last samples are lost."),
    Code.NO_END_BLOCKS: (
        "The writer was killed, or a copy was cut exactly between two members.",
        "Samples at the end may be lost, or lack some of their members.",
    ),
    Code.DATA_AFTER_END: (
        "Archives were concatenated, or the file was reused.",
        "Readers ignore these samples.",
    ),
    Code.ENTRY_DIFFERS: (_STATE, "Samples are read at wrong offsets."),
    Code.JSON_BROKEN: (_OTHER_TOOL, "Loaders fail on this sample."),
    Code.JSON_SCHEMA: (_EDITED, "load_dataset fails, or your code misses a field."),
    Code.LABEL_RANGE: (_EDITED, "Training fails, or learns a wrong class."),
    Code.JSON_DISAGREES: (_EDITED, "The sample cannot be traced back to its row."),
    Code.FIELD_TWICE: (_OTHER_TOOL, "webdataset raises an error at this sample."),
    Code.KEY_RETURNS: (_OTHER_TOOL, "Each of the two samples has a part of the members."),
    Code.FIELD_UNREADABLE: (_OTHER_TOOL, "Decoding readers fail on this sample."),
    Code.EMPTY_SHARD: (_OTHER_TOOL, "A worker that gets only this shard raises an error."),
    Code.SPARSE_MEMBER: (
        "GNU tar stored a file with holes in its sparse format.",
        "Python readers return wrong content.",
    ),
    Code.UNSAFE_MEMBER: (
        "Someone made a tar that writes outside of the folder it is unpacked in.",
        "Unpacking may overwrite your files; loaders are not affected.",
    ),
    Code.LINK_MEMBER: (_OTHER_TOOL, "Samples whose image is a link lack the image."),
    Code.MEMBERS_DIFFER: (_EDITED, "Loaders that expect all members fail or skip the sample."),
    Code.IMAGE_BROKEN: (
        "The image was stored as it was in the source, where it is damaged.",
        "Loaders fail on this sample, or decode it only in part.",
    ),
    Code.IMAGE_SIZE: (_EDITED, "Code that relies on width and height computes wrong crops."),
    Code.DOTTED_KEY: (_OTHER_TOOL, "Different samples get the same key, and members get lost."),
    Code.NAMELESS_MEMBER: (_OTHER_TOOL, "Counts of wids and webdataset differ."),
    Code.FOLDER_MEMBER: (_OTHER_TOOL, "Indexes of wids are shifted by one for each folder."),
    Code.EXTENDED_HEADERS: (_OTHER_TOOL, "DALI reads at wrong offsets; wids misses members."),
    Code.LONG_NAME: (_OTHER_TOOL, "Keys are cut: samples are lost or merged."),
    Code.ODD_NAME: (_OTHER_TOOL, "DALI cannot read the shard by an index."),
    Code.UPPER_CASE: (_OTHER_TOOL, "Your code finds the member in one loader only."),
    Code.MIXED_MEMBERS: (_OTHER_TOOL, "load_dataset fails, or drops members without a message."),
    Code.MIXED_JSON: (_OTHER_TOOL, "load_dataset fails, or changes values."),
    Code.COMPRESSED: (_OTHER_TOOL, "The shard can be read only from its start, and slowly."),
    Code.SIDECAR: (
        "A file beside the shards has an extension that `datasets` reads.",
        "load_dataset reads that file instead of the shards, or fails.",
    ),
    Code.SPLIT_NAME: (
        "The names of shards contain two split keywords, or none.",
        "load_dataset duplicates or leaves out the samples of this shard.",
    ),
    Code.SAME_NAME: (_OTHER_TOOL, "wids reads the samples of one shard for those of the other."),
    Code.INDEX_UNREADABLE: (_STATE, "wids cannot open the dataset."),
    Code.INDEX_DISAGREES: (
        "Shards were added, removed or packed again after the index was made.",
        "wids fails, or leaves out samples.",
    ),
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """What the command line shows of a code."""

    code: str
    severity: str
    title: str
    cause: str
    consequence: str
    remedy: str
    example: str
    """A line as `verify` prints it."""


def explanation_of(code: Code) -> Explanation:
    """Return what a finding means and what to do about it."""
    cause, consequence = _TEXTS[code]
    example = Finding(code, "train-000003.tar" if "{shard}" in code.remedy else None)
    return Explanation(
        code=code.code,
        severity=code.severity,
        title=code.title,
        cause=cause,
        consequence=consequence,
        remedy=code.remedy.replace("{shard}", "NAME"),
        example=example.line("out/dataset"),
    )
