"""Reads src/wire/schema/*.schema. The language is described in src/wire/schema/README.md."""

import dataclasses
import pathlib
import re

FOREVER = 32767

# Our names for what the wire only knows as numbers and text: name -> (wire type, C++ type, how it is held).
# "plain": the C++ type itself; "id": an Id<> whose member v is the wire value; "enum": an enum class.
NAMED_TYPES = {
    "TopicName": ("string", "std::string_view", "plain"),
    "GroupId": ("string", "std::string_view", "plain"),
    "MemberId": ("string", "std::string_view", "plain"),
    "TransactionalId": ("string", "std::string_view", "plain"),
    "TopicId": ("uuid", "TopicId", "id"),
    "BrokerId": ("int32", "BrokerId", "id"),
    "PartitionIndex": ("int32", "PartitionIndex", "id"),
    "LeaderEpoch": ("int32", "LeaderEpoch", "id"),
    "Offset": ("int64", "Offset", "id"),
    "ProducerId": ("int64", "ProducerId", "id"),
    "ProducerEpoch": ("int16", "ProducerEpoch", "id"),
    "ErrorCode": ("int16", "KafkaError", "enum"),
    "Millis32": ("int32", "std::int32_t", "plain"),
    "WallMillis": ("int64", "WallMillis", "plain"),
}
WIRE_TYPES = {
    "bool": "bool", "int8": "std::int8_t", "int16": "std::int16_t", "uint16": "std::uint16_t", "int32": "std::int32_t",
    "uint32": "std::uint32_t", "int64": "std::int64_t", "float64": "double", "uuid": "Uuid",
    "string": "std::string_view", "bytes": "ByteView", "records": "Records",
}
INTEGER_BITS = {"int8": 8, "int16": 16, "uint16": 16, "int32": 32, "uint32": 32, "int64": 64}


class SchemaError(Exception):
    pass


@dataclasses.dataclass
class Field:
    name: str
    type: str  # as written, without [] and ?
    array: bool
    versions: tuple
    nullable: tuple | None
    tag: int | None
    tagged: tuple | None
    default: str | None
    ignorable: bool
    plain: bool  # never compact
    struct: "Struct | None" = None

    @property
    def wire(self):
        if self.struct:
            return "struct"
        return NAMED_TYPES[self.type][0] if self.type in NAMED_TYPES else self.type

    @property
    def held(self):
        return NAMED_TYPES[self.type][2] if self.type in NAMED_TYPES else "plain"

    @property
    def cpp_element(self):
        if self.struct:
            return self.struct.name
        return NAMED_TYPES[self.type][1] if self.type in NAMED_TYPES else WIRE_TYPES[self.type]


@dataclasses.dataclass
class Struct:
    name: str
    fields: list
    versions: tuple


@dataclasses.dataclass
class Message:
    name: str  # C++ name: Request, Response or Data
    root: Struct
    structs: list  # nested ones, each before its user


@dataclasses.dataclass
class Schema:
    path: pathlib.Path
    kind: str  # api or data
    key: int | None
    name: str
    versions: tuple
    advertised: tuple
    flexible: int | None
    messages: list


def parse_range(text, last):
    match = re.fullmatch(r"(\d+)(\+|-(\d+))?", text)
    if not match:
        return None
    first = int(match.group(1))
    if match.group(2) is None:
        return (first, first)
    return (first, last) if match.group(2) == "+" else (first, int(match.group(3)))


class _Parser:
    def __init__(self, path):
        self.path = path
        self.number = 0

    def fail(self, text):
        raise SchemaError(f"{self.path.name}:{self.number}: {text}")

    def parse(self):
        sections = []  # (head words, [(indent, words)])
        for self.number, line in enumerate(self.path.read_text().splitlines(), 1):
            line = line.split("#", 1)[0].rstrip()
            if not line:
                continue
            indent = len(line) - len(line.lstrip())
            words = line.split()
            if indent == 0:
                sections.append((self.number, words, []))
            else:
                if len(sections) < 2:
                    self.fail("a field outside request, response, fields or struct")
                sections[-1][2].append((self.number, indent, words))
        if not sections:
            self.fail("empty")
        schema = self.head(sections[0])
        self.schema = schema
        self.shared = {}
        struct_lines = {}
        order = []
        for number, words, lines in sections[1:]:
            self.number = number
            if words[0] == "struct" and len(words) == 2:
                struct = self.struct(words[1], lines, schema.versions, order)
                self.shared[words[1]] = struct
                struct_lines[words[1]] = number
                order.append(struct)
        taken = [s.name for s in order]
        for number, words, lines in sections[1:]:
            self.number = number
            if words[0] == "struct":
                continue
            if words not in (["request"], ["response"], ["fields"]):
                self.fail(f"unknown section {' '.join(words)}")
            nested = []
            name = {"request": "Request", "response": "Response", "fields": "Data"}[words[0]]
            root = self.struct(name, lines, schema.versions, nested)
            taken += [s.name for s in nested]
            schema.messages.append(Message(name, root, nested))
        if len(set(taken)) != len(taken):
            double = next(n for n in taken if taken.count(n) > 1)
            self.fail(f"struct {double} appears twice: name it apart or make it a section of its own")
        if schema.messages:
            schema.messages[0].structs[:0] = order
        used = {f.type for m in schema.messages for st in m.structs + [m.root] for f in st.fields}
        for struct in order:
            if struct.name not in used:
                self.number = struct_lines.get(struct.name, self.number)
                self.fail(f"struct {struct.name} is never used")
        wanted = ["Request", "Response"] if schema.kind == "api" else ["Data"]
        if [m.name for m in schema.messages] != wanted:
            self.fail(f"wants sections {wanted}")
        return schema

    def head(self, section):
        self.number, words, lines = section
        if lines:
            self.fail("fields below the head line")
        kind = words[0]
        key = None
        if kind == "api":
            key = int(words[1])
            name, rest = words[2], words[3:]
        elif kind == "data":
            name, rest = words[1], words[2:]
        else:
            self.fail("the first line says api or data")
        versions = parse_range(rest[0][1:], FOREVER) if rest and rest[0].startswith("v") else None
        if versions is None:
            self.fail("no version range")
        options = dict(zip(rest[1::2], rest[2::2]))
        if set(options) - {"flexible", "advertised"}:
            self.fail("unknown word in the head line")
        flexible = parse_range(options["flexible"], FOREVER)[0] if "flexible" in options else None
        advertised = parse_range(options["advertised"], FOREVER) if "advertised" in options else versions
        return Schema(self.path, kind, key, name, versions, advertised, flexible, [])

    def struct(self, name, lines, versions, order):
        """Fields at the smallest indent of `lines`; deeper ones belong to the struct field above them."""
        struct = Struct(name, [], versions)
        at = 0
        while at < len(lines):
            self.number, indent, words = lines[at]
            if indent != lines[0][1]:
                self.fail("indentation does not fit")
            end = at + 1
            while end < len(lines) and lines[end][1] > indent:
                end += 1
            struct.fields.append(self.field(words, lines[at + 1:end], versions, order))
            at = end
        names = [f.name for f in struct.fields]
        if len(set(names)) != len(names):
            self.fail(f"a field of {name} appears twice")
        return struct

    def field(self, words, children, outer, order):
        if len(words) < 2:
            self.fail("a field has a name and a type")
        name, kind, rest = words[0], words[1], words[2:]
        match = re.fullmatch(r"(\[\])?([A-Za-z0-9]+)(\?(.*))?", kind)
        if not match:
            self.fail(f"not a type: {kind}")
        array, bare = bool(match.group(1)), match.group(2)
        versions = outer
        if rest and re.fullmatch(r"\d.*", rest[0]):
            versions = parse_range(rest.pop(0), outer[1])
            if not (outer[0] <= versions[0] <= versions[1] <= outer[1]):
                self.fail(f"versions {versions} outside of {outer}")
        nullable = None
        if match.group(3):
            nullable = parse_range(match.group(4), versions[1]) if match.group(4) else versions
        tag = tagged = default = None
        ignorable = plain = False
        while rest:
            word = rest.pop(0)
            if word == "tag":
                tag, tagged = int(rest.pop(0)), versions
                if rest and re.fullmatch(r"\d.*", rest[0]):
                    tagged = parse_range(rest.pop(0), versions[1])
            elif word == "=":
                default = rest.pop(0)
            elif word == "ignorable":
                ignorable = True
            elif word == "plain":
                plain = True
            else:
                self.fail(f"unknown word {word}")
        field = Field(name, bare, array, versions, nullable, tag, tagged, default, ignorable, plain)
        if bare in NAMED_TYPES or bare in WIRE_TYPES:
            if children:
                self.fail(f"{name} is no struct but has fields")
        elif children:
            field.struct = self.struct(bare, children, versions, order)
            order.append(field.struct)
        elif bare in self.shared:
            field.struct = self.shared[bare]
        else:
            self.fail(f"unknown type {bare}")
        if field.wire == "records" and (array or tag is not None):
            self.fail("records can be neither in an array nor tagged: the writer splices them")
        if tagged and (self.schema.flexible is None or tagged[0] < self.schema.flexible):
            self.fail("tagged below the flexible versions")
        return field


def load(path):
    return _Parser(pathlib.Path(path)).parse()


def load_all(directory):
    schemas = [load(p) for p in sorted(pathlib.Path(directory).glob("*.schema"))]
    schemas.sort(key=lambda s: (s.key is None, s.key if s.key is not None else 0, s.name))
    return schemas
