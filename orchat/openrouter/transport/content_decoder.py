"""Decompress a response piece by piece, never further than its limits allow.

The HTTP packages would inflate each block of the connection at once, a thousandfold for a bomb. Only gzip and deflate
are asked for and decoded: of the other encodings that those may know (br, zstd) the decoders have no bound.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator

from orchat.errors import ProviderError
from orchat.openrouter.response_limits import ResponseLimits

ACCEPTED_ENCODINGS = "gzip, deflate"
_ENCODINGS = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
_REFUSED = frozenset({"br", "zstd", "compress", "x-compress", "dcb", "dcz"})
_MAX_ENCODINGS = 2  # each may multiply
_PIECE = 65_536
# Below it any ratio will do: comments that keep a connection open are all the same.
_RATIO_FLOOR = 1024 * 1024


class ContentDecodingError(Exception):
    """A body is not compressed as its header says."""


class ContentDecoder:
    """Decodes the blocks of a compressed body to pieces of at most 64 kB.

    Parameters
    ----------
    content_encoding
        The response's header; names that mean no compression count as none.
    limits
        The limits of the response.

    Raises
    ------
    ProviderError
        It is an encoding that was not asked for.

    Examples
    --------
    >>> import gzip
    >>> decoder = ContentDecoder("gzip", ResponseLimits())
    >>> b"".join(decoder.decode(gzip.compress(b"The Humber.")))
    b'The Humber.'
    """

    def __init__(self, content_encoding: str, limits: ResponseLimits) -> None:
        names = [name.strip().lower() for name in content_encoding.split(",")]
        known = [name for name in names if name in _ENCODINGS]
        if not _REFUSED.isdisjoint(names) or len(known) > _MAX_ENCODINGS:
            raise ProviderError(
                f"The response is encoded as {content_encoding[: limits.header_characters]}, "
                f"and {ACCEPTED_ENCODINGS} were asked for.",
                hint="Is a proxy in between? Try another provider or base URL.",
            )
        self._stages = [_Inflater(_ENCODINGS[name]) for name in reversed(known)]
        self._limits = limits
        self._received = self._decoded = 0

    def decode(self, block: bytes) -> Iterator[bytes]:
        """Yield the pieces of a block.

        Raises
        ------
        ResponseLimitError
            The body is compressed more than the limit allows.
        ContentDecodingError
            It is not what its header says.
        """
        self._received += len(block)
        for piece in self._decode(block, self._stages):
            self._decoded += len(piece)
            if self._decoded > max(_RATIO_FLOOR, self._received * self._limits.compression_ratio):
                raise self._limits.exceeded("compression_ratio")
            yield piece

    def _decode(self, block: bytes, stages: list[_Inflater]) -> Iterator[bytes]:
        if not stages:
            yield block
            return
        for piece in stages[0].inflate(block):
            yield from self._decode(piece, stages[1:])

    def blocks(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """Decode an iterable of blocks."""
        for block in blocks:
            yield from self.decode(block)

    async def ablocks(self, blocks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
        """Decode an asynchronous iterable of blocks."""
        async for block in blocks:
            for piece in self.decode(block):
                yield piece


class _Inflater:
    """One stage of decompression, whose output is bounded at each step."""

    def __init__(self, window_bits: int) -> None:
        self._may_hold_more = False
        self._held = b""
        self._decompressor = zlib.decompressobj(window_bits)
        # Some servers mean raw deflate data by "deflate".
        self._may_be_raw = window_bits == zlib.MAX_WBITS

    def inflate(self, block: bytes) -> Iterator[bytes]:
        rest = self._held + block
        if self._may_be_raw and len(rest) < 2:  # too little to tell
            self._held = rest
            return
        self._held = b""
        while not self._decompressor.eof and (rest or self._may_hold_more):  # what follows its end is no part of it
            try:
                piece = self._decompressor.decompress(rest, _PIECE)
            except zlib.error as error:
                if not self._may_be_raw:
                    raise ContentDecodingError(str(error)) from None
                self._decompressor, self._may_be_raw = zlib.decompressobj(-zlib.MAX_WBITS), False
                continue
            self._may_be_raw = False
            rest = self._decompressor.unconsumed_tail
            self._may_hold_more = len(piece) == _PIECE
            if piece:
                yield piece
