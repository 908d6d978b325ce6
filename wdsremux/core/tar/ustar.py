"""How a member and a whole file look in a tar: POSIX ustar, byte for byte what `tarfile` writes.

Format: POSIX.1-1988 ustar interchange format. Every header says mode 0644, uid 0,
gid 0, mtime 0 and no user names, so that equal content is an equal file.
"""

BLOCK_BYTES = 512
RECORD_BYTES = 10240
MAX_NAME_BYTES = 100
"""Longer names need a prefix or a PAX header, which several readers skip (wids, DALI)."""
MAX_MEMBER_BYTES = 8**11 - 1

_HEADER = bytearray(BLOCK_BYTES)
_HEADER[100:108] = b"0000644\0"
_HEADER[108:116] = _HEADER[116:124] = b"0000000\0"
_HEADER[136:148] = b"00000000000\0"
_HEADER[148:156] = b"        "
_HEADER[156] = ord("0")
_HEADER[257:265] = b"ustar\x0000"
_TEMPLATE = bytes(_HEADER)
_TEMPLATE_SUM = sum(_TEMPLATE)
_ZEROS = bytes(BLOCK_BYTES)


def header(name: str, size_bytes: int) -> bytes:
    """Return the 512-byte header of a regular file.

    Raises ValueError for a name over 100 ASCII bytes or a member of 8 GiB or more.
    """
    raw = name.encode("ascii")
    if not 0 < len(raw) <= MAX_NAME_BYTES or not 0 <= size_bytes <= MAX_MEMBER_BYTES:
        raise ValueError(f"a ustar header cannot hold {name!r} with {size_bytes} bytes")
    size = b"%011o" % size_bytes
    # The checksum is the sum of all bytes: the template's is known, only name and size differ.
    total = _TEMPLATE_SUM + sum(raw) + sum(size)
    return b"".join(
        (
            raw,
            _TEMPLATE[len(raw) : 124],
            size,
            _TEMPLATE[135:148],
            b"%06o\0 " % total,
            _TEMPLATE[156:],
        )
    )


def padding(size_bytes: int) -> bytes:
    """Return the zero bytes that follow a member's content up to the next block."""
    return _ZEROS[: -size_bytes % BLOCK_BYTES]


def member_bytes(size_bytes: int) -> int:
    """Bytes that a member takes in a tar: header, content, padding."""
    return BLOCK_BYTES + size_bytes + -size_bytes % BLOCK_BYTES


def file_bytes(payload_bytes: int) -> int:
    """Return the size of a tar with `payload_bytes` of members: two zero blocks, full records."""
    return -(-(payload_bytes + 2 * BLOCK_BYTES) // RECORD_BYTES) * RECORD_BYTES


def trailer(payload_bytes: int) -> bytes:
    """Return what ends a tar after `payload_bytes` of members."""
    return bytes(file_bytes(payload_bytes) - payload_bytes)


def member_offsets(member_sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Offsets of the members' contents from the start of their sample."""
    offsets = []
    at = 0
    for size in member_sizes:
        offsets.append(at + BLOCK_BYTES)
        at += member_bytes(size)
    return tuple(offsets)
