"""A proxy that lies: what passes through it is a broker that drops, doubles or flips one record.

It stands on a port of its own; the broker behind it must advertise that port (advertised.listeners), so that clients come here.
It looks for batches in the frames that pass instead of decoding the messages around them: a batch v2 is where magic, length
and checksum agree, and a field is batches behind each other with their length right before them. One of them is rewritten.
"""
import socket
import struct
import threading

from rawkafka import Reader, crc32c, uvarint, varint

PRODUCE, FETCH = 0, 1


def batch_end(body, start):
    """Where the plain or compressed batch that starts there ends, or None when there is none."""
    if start + 61 > len(body) or body[start + 16] != 2:
        return None
    size, = struct.unpack_from(">i", body, start + 8)
    crc, = struct.unpack_from(">I", body, start + 17)
    end = start + 12 + size
    return end if size >= 49 and end <= len(body) and crc32c(body[start + 21:end]) == crc else None


def find_batches(body):
    """[(start, end)] of the first batches in `body` that follow each other: a field's content, as a client sent it in parts."""
    at = body.find(b"\x02", 16)
    while at >= 0:
        found, start = [], at - 16
        while end := batch_end(body, start):
            found.append((start, end))
            start = end
        if found:
            return found
        at = body.find(b"\x02", at + 1)
    return []


def may_be_changed(body, start):
    """Plain, with a record on each side of its second."""
    attributes, = struct.unpack_from(">h", body, start + 21)
    count, = struct.unpack_from(">i", body, start + 57)
    return count >= 3 and attributes & 7 == 0


def field_head(body, start, end):
    """Start of the field's length before its content and how it is written, or None when the content is not all of it."""
    total = end - start
    if body[start - 4:start] == struct.pack(">i", total):
        return start - 4, lambda n: struct.pack(">i", n)
    compact = uvarint(total + 1)
    if body[start - len(compact):start] == compact:
        return start - len(compact), lambda n: uvarint(n + 1)
    return None


def split(batch):
    """The records of a plain batch, each as its bytes without the length: attributes, deltas, key, value, headers."""
    r, out = Reader(batch[61:]), []
    for _ in range(struct.unpack_from(">i", batch, 57)[0]):
        out.append(r.take(r.varint()))
    return out


def with_delta(record, delta):
    r = Reader(record)
    r.take(1)
    r.varint()
    at = r.at
    r.varint()
    return record[:at] + varint(delta) + record[r.at:]


def join(batch, records, last_delta):
    """The batch with other records and a checksum that fits, so that nothing but its content is wrong."""
    body = b"".join(varint(len(r)) + r for r in records)
    checked = batch[21:23] + struct.pack(">i", last_delta) + batch[27:57] + struct.pack(">i", len(records)) + body
    return (batch[:8] + struct.pack(">i", 9 + len(checked)) + batch[12:17] + struct.pack(">I", crc32c(checked)) + checked)


def drop(batch):
    """Without its second record; the others keep their offsets, as if compaction had taken it."""
    records = split(batch)
    return join(batch, records[:1] + records[2:], struct.unpack_from(">i", batch, 23)[0])


def double(batch):
    """With its second record twice, and all behind it one offset later."""
    records = split(batch)
    records = [with_delta(r, i) for i, r in enumerate(records[:2] + records[1:])]
    return join(batch, records, len(records) - 1)


def flip(batch):
    """One bit of the second record's value."""
    records = split(batch)
    r = Reader(records[1])
    r.take(1)
    r.varint(), r.varint()
    r.take(max(r.varint(), 0))
    r.varint()
    changed = bytearray(records[1])
    changed[r.at + 2] ^= 1
    return join(batch, [records[0], bytes(changed), *records[2:]], struct.unpack_from(">i", batch, 23)[0])


# Which way, and what happens to the batch. Consumers skip offsets that they have, so doubling is done to what is produced.
LIES = {"drop": (FETCH, drop), "double": (PRODUCE, double), "flip": (FETCH, flip)}


class Liar:
    """Passes everything on, but for one batch after lie(); `told` is the offset in that batch that it lied about, then."""

    def __init__(self):
        self.door = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.door.getsockname()[1]
        self.upstream, self.kind, self.told = None, None, None
        self.lock = threading.Lock()
        threading.Thread(target=self.accept, daemon=True).start()

    def serve(self, upstream):
        self.upstream = upstream

    def lie(self, kind):
        with self.lock:
            self.kind, self.told = kind, None

    def accept(self):
        while True:
            try:
                client, _ = self.door.accept()
            except OSError:
                return
            try:
                host, _, port = self.upstream.rpartition(":")
                broker = socket.create_connection((host, int(port)))
            except (OSError, AttributeError):
                client.close()
                continue
            asked = {}
            threading.Thread(target=self.pump, args=(client, broker, asked, True), daemon=True).start()
            threading.Thread(target=self.pump, args=(broker, client, asked, False), daemon=True).start()

    def pump(self, source, sink, asked, request):
        try:
            for s in (source, sink):
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            stream = source.makefile("rb")
            while len(head := stream.read(4)) == 4:
                body = stream.read(struct.unpack(">i", head)[0])
                if request:
                    key, _, correlation = struct.unpack_from(">hhi", body)
                    asked[correlation] = key
                else:
                    key = asked.pop(struct.unpack_from(">i", body)[0], None)
                body = self.pass_on(body, key if request == (key == PRODUCE) else None)
                sink.sendall(struct.pack(">i", len(body)) + body)
        except (OSError, struct.error, ValueError):
            pass
        finally:
            for s in (source, sink):
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def pass_on(self, body, key):
        with self.lock:
            if self.kind is None or key != LIES[self.kind][0]:
                return body
            batches = find_batches(body)
            head = batches and field_head(body, batches[0][0], batches[-1][1])
            chosen = next((b for b in batches if may_be_changed(body, b[0])), None)
            if not head or not chosen:
                return body
            at, length = head
            changed = LIES[self.kind][1](body[slice(*chosen)])
            content = body[batches[0][0]:chosen[0]] + changed + body[chosen[1]:batches[-1][1]]
            self.kind, self.told = None, struct.unpack_from(">q", body, chosen[0])[0] + 1
            return body[:at] + length(len(content)) + content + body[batches[-1][1]:]

    def close(self):
        self.door.close()
