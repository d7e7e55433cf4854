"""A Kafka client of bytes: for what no real client would send, and to see answers as they are.

It shares nothing with the broker's codecs: protocol.json beside this file holds the field tables of the APIs that the
tests use (key, versions, flexible from), derived from the protocol facts, and this file encodes and decodes by them.
Values are plain dicts with Kafka's field names; absent fields take the table's default.
"""
import ctypes
import gzip
import json
import os
import socket
import struct
import time

HERE = os.path.dirname(os.path.abspath(__file__))

NONE, OFFSET_OUT_OF_RANGE, CORRUPT_MESSAGE, UNKNOWN_TOPIC_OR_PARTITION = 0, 1, 2, 3
MESSAGE_TOO_LARGE, INVALID_TOPIC_EXCEPTION, INVALID_REQUIRED_ACKS, UNSUPPORTED_VERSION = 10, 17, 21, 35
TOPIC_ALREADY_EXISTS, INVALID_PARTITIONS, INVALID_REPLICATION_FACTOR, INVALID_REPLICA_ASSIGNMENT = 36, 37, 38, 39
INVALID_GROUP_ID = 24
INVALID_CONFIG, INVALID_REQUEST, OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_PRODUCER_EPOCH = 40, 42, 45, 47
POLICY_VIOLATION = 44
FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH, UNSUPPORTED_COMPRESSION_TYPE, INVALID_RECORD = 74, 75, 76, 87
INVALID_TIMESTAMP, UNKNOWN_TOPIC_ID = 32, 100

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
ZERO_UUID = "00" * 16


class Closed(Exception):
    """The broker closed the connection (or reset it) where an answer would have been."""


# ---- versions, fields, values -------------------------------------------------------------------------------------

def in_range(versions, v):
    if versions in (None, "none"):
        return False
    if versions.endswith("+"):
        return v >= int(versions[:-1])
    low, _, high = versions.partition("-")
    return int(low) <= v <= int(high or low)


def load_apis():
    with open(os.path.join(HERE, "protocol.json")) as f:
        return {api["name"]: api for api in json.load(f)}


APIS = load_apis()


def api_range(name):
    low, high = APIS[name]["advertised"].split("-") if "-" in APIS[name]["advertised"] else (0, 0)
    return int(low), int(high)


def is_flexible(name, version, side="request"):
    return in_range(APIS[name][side]["flex"], version)


def default_of(field):
    t, d = field["t"], field.get("d")
    if d == "null":
        return None
    if t.startswith("[]"):
        return []
    if t == "string":
        return d or ""
    if t == "bool":
        return d == "true"
    if t == "uuid":
        return ZERO_UUID
    if t in ("bytes", "records"):
        return b""
    if t.startswith(("int", "uint")):
        return int(str(d), 0) if d is not None else 0
    return {}


FIXED = {"int8": ">b", "int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I", "int64": ">q"}


def uvarint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def varint(n):
    return uvarint((n << 1) ^ (n >> 63) if n >= 0 else ((-n - 1) << 1) | 1)


def encode_fields(fields, value, version, flexible):
    out = bytearray()
    tags = {}
    unknown = set(value) - {f["n"] for f in fields}
    if unknown:
        raise KeyError(f"no such field: {unknown}")
    for f in fields:
        if not in_range(f["v"], version):
            continue
        v = value.get(f["n"], default_of(f))
        if in_range(f.get("tagged"), version):
            if v != default_of(f):
                tags[f["tag"]] = encode_value(f, f["t"], v, version, flexible)
        else:
            out += encode_value(f, f["t"], v, version, flexible)
    if flexible:
        out += uvarint(len(tags))
        for tag in sorted(tags):
            out += uvarint(tag) + uvarint(len(tags[tag])) + tags[tag]
    return bytes(out)


def length(n, flexible, short=False):
    """n is None for null."""
    if flexible:
        return uvarint(0 if n is None else n + 1)
    return struct.pack(">h" if short else ">i", -1 if n is None else n)


def element(f):
    """The field without its nullability, which is the array's and not that of its elements."""
    return {k: v for k, v in f.items() if k != "null"}


def encode_value(f, t, v, version, flexible):
    if t in FIXED:
        return struct.pack(FIXED[t], v)
    if t == "bool":
        return b"\x01" if v else b"\x00"
    if t == "uuid":
        return bytes.fromhex(v)
    if t == "string":
        raw = v.encode() if isinstance(v, str) else v
        return length(None if v is None else len(raw), flexible, short=True) + (raw or b"")
    if t in ("bytes", "records"):
        return length(None if v is None else len(v), flexible) + (v or b"")
    if t.startswith("[]"):
        head = length(None if v is None else len(v), flexible)
        return head + b"".join(encode_value(element(f), t[2:], x, version, flexible) for x in v or [])
    if "null" in f and in_range(f["null"], version):
        return b"\xff" if v is None else b"\x01" + encode_fields(f["f"], v, version, flexible)
    return encode_fields(f["f"], v, version, flexible)


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        if n < 0 or self.at + n > len(self.data):
            raise ValueError(f"{n} bytes wanted at {self.at} of {len(self.data)}")
        self.at += n
        return self.data[self.at - n:self.at]

    def number(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def uvarint(self):
        n = shift = 0
        while True:
            b = self.take(1)[0]
            n |= (b & 127) << shift
            if b < 128:
                return n
            shift += 7

    def varint(self):
        n = self.uvarint()
        return (n >> 1) ^ -(n & 1)

    def length(self, flexible, short=False):
        n = self.uvarint() - 1 if flexible else self.number(">h" if short else ">i")
        return None if n < 0 else n


def decode_fields(fields, r, version, flexible):
    out, tagged = {}, {}
    for f in fields:
        if not in_range(f["v"], version):
            continue
        if in_range(f.get("tagged"), version):
            tagged[f["tag"]] = f
            out[f["n"]] = default_of(f)
        else:
            out[f["n"]] = decode_value(f, f["t"], r, version, flexible)
    if flexible:
        for _ in range(r.uvarint()):
            tag, size = r.uvarint(), r.uvarint()
            body = Reader(r.take(size))
            if tag in tagged:
                f = tagged[tag]
                out[f["n"]] = decode_value(f, f["t"], body, version, flexible)
                if body.at != size:
                    raise ValueError(f"tag {tag} holds {size} bytes, {body.at} were read")
    return out


def decode_value(f, t, r, version, flexible):
    if t in FIXED:
        return r.number(FIXED[t])
    if t == "bool":
        return r.take(1) != b"\x00"
    if t == "uuid":
        return r.take(16).hex()
    if t == "string":
        n = r.length(flexible, short=True)
        return None if n is None else bytes(r.take(n)).decode()
    if t in ("bytes", "records"):
        n = r.length(flexible)
        return None if n is None else bytes(r.take(n))
    if t.startswith("[]"):
        n = r.length(flexible)
        return None if n is None else [decode_value(element(f), t[2:], r, version, flexible) for _ in range(n)]
    if "null" in f and in_range(f["null"], version) and r.number(">b") < 0:
        return None
    return decode_fields(f["f"], r, version, flexible)


# ---- record batches -----------------------------------------------------------------------------------------------

def _crc_table():
    table = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
        table.append(n)
    return table


CRC_TABLE = _crc_table()


def _fast_crc():
    """The one of Debian's libisal2, a hundred times faster, where it is installed (the broker has its own)."""
    try:
        function = ctypes.CDLL("libisal.so.2").crc32_iscsi
    except (OSError, AttributeError):
        return None
    function.argtypes, function.restype = [ctypes.c_char_p, ctypes.c_int, ctypes.c_uint32], ctypes.c_uint32
    return function


FAST_CRC = _fast_crc()


def crc32c(data):
    if FAST_CRC:
        return FAST_CRC(bytes(data), len(data), 0xFFFFFFFF) ^ 0xFFFFFFFF
    crc, table = 0xFFFFFFFF, CRC_TABLE
    for b in data:
        crc = crc >> 8 ^ table[(crc ^ b) & 255]
    return crc ^ 0xFFFFFFFF


def now_ms():
    return int(time.time() * 1000)


def record(value, key=None, headers=(), offset_delta=0, timestamp_delta=0):
    def sized(b):
        return varint(-1) if b is None else varint(len(b)) + b
    body = b"\x00" + varint(timestamp_delta) + varint(offset_delta) + sized(key) + sized(value) + varint(len(headers))
    for name, content in headers:
        body += sized(name.encode()) + sized(content)
    return varint(len(body)) + body


def batch(values, *, codec=0, timestamp=None, producer=(-1, -1, -1), attributes=0, base_offset=0, magic=2,
          leader_epoch=-1, count=None, last_offset_delta=None, crc=None, payload=None, keys=None, max_timestamp=None):
    """One batch v2. Every keyword that makes it wrong is there on purpose. producer: (id, epoch, base sequence)."""
    timestamp = now_ms() if timestamp is None else timestamp
    body = payload
    if body is None:
        body = b"".join(record(v, key=keys[i] if keys else None, offset_delta=i) for i, v in enumerate(values))
        if codec == 1:
            body = gzip.compress(body)
    n = len(values) if count is None else count
    last = n - 1 if last_offset_delta is None else last_offset_delta
    checked = struct.pack(">hiqqqhii", attributes | codec, last, timestamp,
                          timestamp if max_timestamp is None else max_timestamp, *producer, n) + body
    crc = crc32c(checked) if crc is None else crc
    rest = struct.pack(">ibI", leader_epoch, magic, crc) + checked
    return struct.pack(">qi", base_offset, len(rest)) + rest


def batches_of(data):
    """Headers of the whole batches in `data` (a cut last one is dropped, as clients do), and the raw bytes of each."""
    out, at = [], 0
    while at + 61 <= len(data):
        base, size, epoch, magic, crc, attributes, last, first_ts, max_ts, pid, pepoch, seq, count = struct.unpack(
            ">qiibIhiqqqhii", data[at:at + 61])
        if at + 12 + size > len(data):
            break
        raw = data[at:at + 12 + size]
        out.append({"base_offset": base, "last_offset": base + last, "epoch": epoch, "magic": magic,
                    "crc_ok": crc32c(raw[21:]) == crc if size < 65536 else None,
                    "codec": CODECS[attributes & 7], "attributes": attributes, "timestamp": first_ts,
                    "max_timestamp": max_ts, "producer_id": pid, "producer_epoch": pepoch, "sequence": seq,
                    "count": count, "raw": raw})
        at += 12 + size
    return out


def records_of(one):
    """Records of a batch of batches_of(); only codecs that the standard library can open."""
    body = one["raw"][61:]
    if one["codec"] == "gzip":
        body = gzip.decompress(body)
    elif one["codec"] != "none":
        raise ValueError("cannot open " + one["codec"])
    r, out = Reader(body), []

    def sized():
        n = r.varint()
        return None if n < 0 else bytes(r.take(n))
    for _ in range(one["count"]):
        r.varint()
        r.take(1)
        ts, offset = r.varint(), r.varint()
        key, value = sized(), sized()
        headers = [(sized().decode(), sized()) for _ in range(r.varint())]
        out.append({"offset": one["base_offset"] + offset, "timestamp": one["timestamp"] + ts, "key": key,
                    "value": value, "headers": headers})
    return out


# ---- connection ---------------------------------------------------------------------------------------------------

class Connection:
    def __init__(self, address, timeout=20):
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.correlation = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send_bytes(self, data):
        try:
            self.socket.sendall(data)
        except OSError as e:
            if isinstance(e, TimeoutError):
                raise
            raise Closed(str(e)) from None

    def read_exactly(self, n):
        out = bytearray()
        while len(out) < n:
            try:
                part = self.socket.recv(n - len(out))
            except ConnectionError as e:
                raise Closed(str(e)) from None
            if not part:
                raise Closed("end of stream")
            out += part
        return bytes(out)

    def read_frame(self):
        return self.read_exactly(struct.unpack(">i", self.read_exactly(4))[0])

    def is_closed_within(self, seconds):
        """True when the broker ends the connection in time; fails on any byte of an answer."""
        self.socket.settimeout(seconds)
        try:
            got = self.socket.recv(1)
        except TimeoutError:
            return False
        except ConnectionError:
            return True
        if got:
            raise AssertionError(f"an answer ({got!r}...) where the connection should be closed")
        return True

    def header(self, key, version, flexible, client_id="raw"):
        self.correlation += 1
        name = b"\xff\xff" if client_id is None else struct.pack(">h", len(client_id)) + client_id.encode()
        return struct.pack(">hhi", key, version, self.correlation) + name + (b"\x00" if flexible else b"")

    def frame(self, name, version, value, client_id="raw"):
        api = APIS[name]
        flexible = in_range(api["request"]["flex"], version)
        body = self.header(api["key"], version, flexible, client_id)
        body += encode_fields(api["request"]["f"], value, version, flexible)
        return struct.pack(">i", len(body)) + body

    def send(self, name, version, value, client_id="raw"):
        self.send_bytes(self.frame(name, version, value, client_id))
        return self.correlation

    def receive(self, name, version, correlation=None):
        r = Reader(self.read_frame())
        got = r.number(">i")
        if got != (self.correlation if correlation is None else correlation):
            raise AssertionError(f"correlation id {got}, asked with {correlation or self.correlation}")
        flexible = in_range(APIS[name]["response"]["flex"], version)
        if flexible and name != "ApiVersions":
            if r.uvarint() != 0:
                raise AssertionError("tags in a response header")
        out = decode_fields(APIS[name]["response"]["f"], r, version, flexible)
        if r.at != len(r.data):
            raise AssertionError(f"{name} v{version}: {len(r.data) - r.at} bytes left over")
        return out

    def call(self, name, version, value=None, client_id="raw"):
        self.send(name, version, value or {}, client_id)
        return self.receive(name, version)

    # ---- short forms that the scenarios share

    def api_versions(self):
        answer = self.call("ApiVersions", 3, {"ClientSoftwareName": "raw", "ClientSoftwareVersion": "1"})
        return {k["ApiKey"]: (k["MinVersion"], k["MaxVersion"]) for k in answer["ApiKeys"]}

    def create_topic(self, name, partitions=1, configs=None, check=True):
        answer = self.call("CreateTopics", 5, {
            "Topics": [{"Name": name, "NumPartitions": partitions, "ReplicationFactor": 1,
                        "Configs": [{"Name": k, "Value": v} for k, v in (configs or {}).items()]}],
            "timeoutMs": 20000})
        code = answer["Topics"][0]["ErrorCode"]
        if check:
            assert code == 0, f"create {name}: error {code} {answer['Topics'][0].get('ErrorMessage')}"
            self.wait_for_topic(name, partitions)
        return code

    def wait_for_topic(self, name, partitions=1, seconds=15):
        """Apache Kafka answers CreateTopics before Metadata knows the topic, and Metadata before it leads."""
        deadline = time.monotonic() + seconds
        while True:
            t = self.metadata([name])["Topics"][0]
            if t["ErrorCode"] == 0 and len(t["Partitions"]) >= partitions and all(
                    p["ErrorCode"] == 0 and p["LeaderId"] >= 0 and
                    self.list_offset(name, -1, p["PartitionIndex"])["ErrorCode"] == 0 for p in t["Partitions"]):
                return t
            assert time.monotonic() < deadline, f"{name} did not appear: {t}"
            time.sleep(0.02)

    def metadata(self, names, version=9, auto=False):
        topics = None if names is None else [{"Name": n} for n in names]
        return self.call("Metadata", version, {"Topics": topics, "AllowAutoTopicCreation": auto})

    def produce(self, topic, data, acks=-1, partition=0, version=7, timeout=10000, topic_id=ZERO_UUID):
        request = {"Acks": acks, "TimeoutMs": timeout, "TopicData": [
            {("TopicId" if version >= 13 else "Name"): topic_id if version >= 13 else topic,
             "PartitionData": [{"Index": partition, "Records": data}]}]}
        if acks == 0:
            return self.send("Produce", version, request)
        return self.call("Produce", version, request)["Responses"][0]["PartitionResponses"][0]

    def fetch(self, topic, offset, partition=0, version=11, wait_ms=1000, min_bytes=1, max_bytes=50 << 20,
              partition_bytes=10 << 20, topic_id=ZERO_UUID, epoch=-1, isolation=0):
        request = {"ReplicaId": -1, "MaxWaitMs": wait_ms, "MinBytes": min_bytes, "MaxBytes": max_bytes,
                   "IsolationLevel": isolation, "SessionId": 0, "SessionEpoch": -1, "Topics": [
                       {("TopicId" if version >= 13 else "Topic"): topic_id if version >= 13 else topic,
                        "Partitions": [{"Partition": partition, "CurrentLeaderEpoch": epoch, "FetchOffset": offset,
                                        "PartitionMaxBytes": partition_bytes}]}]}
        answer = self.call("Fetch", version, request)
        if answer.get("ErrorCode"):
            return {"ErrorCode": answer["ErrorCode"], "top": True}
        return answer["Responses"][0]["Partitions"][0]

    def list_offset(self, topic, timestamp, partition=0, version=5, epoch=-1):
        answer = self.call("ListOffsets", version, {"ReplicaId": -1, "IsolationLevel": 0, "TimeoutMs": 10000, "Topics": [
            {"Name": topic, "Partitions": [{"PartitionIndex": partition, "CurrentLeaderEpoch": epoch,
                                            "Timestamp": timestamp}]}]})
        return answer["Topics"][0]["Partitions"][0]

    def all_batches(self, topic, partition=0, start=0):
        """Headers of all batches up to the watermark."""
        out, at = [], start
        while True:
            answer = self.fetch(topic, at, partition, wait_ms=0)
            assert answer["ErrorCode"] == 0, answer["ErrorCode"]
            got = [b for b in batches_of(answer["Records"] or b"") if b["last_offset"] >= at]
            out += got
            if not got:
                assert at >= answer["HighWatermark"], f"nothing at {at}, watermark {answer['HighWatermark']}"
                return out
            at = got[-1]["last_offset"] + 1
