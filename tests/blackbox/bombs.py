"""Batches that are small and inflate to much: one record of zeros, for every codec, written by hand."""
import struct
import zlib

import rawkafka as rk

GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4


def head(size):
    """The bytes of a record before `size` bytes of value; behind them comes its count of headers, a zero too."""
    body = b"\x00" + rk.varint(0) + rk.varint(0) + rk.varint(-1) + rk.varint(size)
    return rk.varint(len(body) + size + 1) + body


def gzip_stream(before, zeros):
    z = zlib.compressobj(9, zlib.DEFLATED, 31)
    piece = bytes(1 << 20)
    parts = [z.compress(before)] + [z.compress(piece) for _ in range(zeros >> 20)] + [z.compress(bytes(zeros & 0xfffff))]
    return b"".join(parts) + z.flush()


def snappy_block(before, zeros):
    """One block that is not framed: 64 zeros for 3 bytes, which is the most there is."""
    def length(n):
        out = b""
        while n >= 0x80:
            out, n = out + bytes([n & 0x7f | 0x80]), n >> 7
        return out + bytes([n])
    literal = before + b"\0"
    copies, rest = divmod(zeros - 1, 64)
    tail = struct.pack("<BH", (rest - 1) << 2 | 2, 1) if rest else b""
    return length(len(before) + zeros) + bytes([(len(literal) - 1) << 2]) + literal + struct.pack("<BH", 63 << 2 | 2, 1) * copies + tail


def lz4_frame(before, zeros):
    """Blocks of 4 MiB, each one match of distance 1 as long as it may be."""
    def run(n):
        return bytes([255]) * (n // 255) + bytes([n % 255])

    def block(literal, count):
        match = count - 5  # the last five bytes are literals
        token = bytes([min(len(literal), 15) << 4 | 15])
        data = token + (run(len(literal) - 15) if len(literal) >= 15 else b"") + literal + b"\x01\x00" + run(match - 19)
        data += bytes([5 << 4]) + bytes(5)
        return struct.pack("<I", len(data)) + data
    out = bytes.fromhex("04224d18607073")
    first = before + b"\0"
    left = zeros - 1
    most = (4 << 20) - len(first)
    out += block(first, min(left, most))
    left -= min(left, most)
    while left > 0:
        count = min(left - 1, (4 << 20) - 1)
        if count < 100:  # too short for a match of this kind
            out += struct.pack("<I", left | 1 << 31) + bytes(left)
            break
        out += block(b"\0", count)
        left -= count + 1
    return out + bytes(4)


def zstd_frame(before, zeros, window_log):
    """Blocks of one repeated byte, and a window of 2**window_log."""
    out = bytes.fromhex("28b52ffd00") + bytes([(window_log - 10) << 3])
    out += struct.pack("<I", len(before) << 3)[:3] + before
    most = 128 << 10
    while zeros > 0:
        n = min(zeros, most)
        zeros -= n
        out += struct.pack("<I", n << 3 | 1 << 1 | (zeros == 0))[:3] + b"\0"
    return out


def batch(codec, size, window_log=17):
    """A whole batch with one record whose value is `size` zeros."""
    before, zeros = head(size), size + 1
    payload = {GZIP: gzip_stream, SNAPPY: snappy_block, LZ4: lz4_frame,
               ZSTD: lambda b, z: zstd_frame(b, z, window_log)}[codec](before, zeros)
    return rk.batch([], codec=codec, count=1, last_offset_delta=0, payload=payload)
