#!/usr/bin/env python3
"""Prints a schema drafted from the committed facts, to be kept by hand from then on:

    tools/codegen/draft_schema.py 23 > src/wire/schema/23_offset_for_leader_epoch.schema

What it cannot know: the errors that a field may hold, and where one of our types (schema.py NAMED_TYPES) would say more
than the number. Look through both.
"""

import json
import pathlib
import sys

from generate import snake

ROOT = pathlib.Path(__file__).resolve().parents[2]
ENTITIES = {"brokerId": "BrokerId", "producerId": "ProducerId", "topicName": "TopicName", "groupId": "GroupId",
            "transactionalId": "TransactionalId"}


def our_type(name, kind, hint):
    """One of our names for a wire type, by the field's name and what it refers to."""
    bare = kind.replace("[]", "")
    if hint in ENTITIES:
        return ENTITIES[hint]
    if bare == "int16" and name.endswith("ErrorCode"):
        return "ErrorCode"
    if bare == "int16" and name.endswith("ProducerEpoch"):
        return "ProducerEpoch"
    if bare == "int32" and name in ("PartitionIndex", "Partition", "Index", "Partitions"):
        return "PartitionIndex"
    if bare == "int32" and (name.endswith("LeaderEpoch") or name == "LastFetchedEpoch"):
        return "LeaderEpoch"
    if bare == "int32" and name.endswith("Ms"):
        return "Millis32"
    if bare == "int64" and (name.endswith("Offset") or name == "HighWatermark"):
        return "Offset"
    if bare == "int64" and name in ("Timestamp", "LogAppendTimeMs"):
        return "WallMillis"
    if bare == "uuid" and name == "TopicId":
        return "TopicId"
    if bare == "string" and name == "MemberId":
        return "MemberId"
    return bare


def shape_of(fields):
    """What makes two structs the same: names, types and tags, not the versions that they were cut to."""
    return json.dumps([[f[0], f[1], f[5], f[6], shape_of(f[8])] for f in fields])


class Draft:
    def __init__(self, api):
        self.api = api
        self.last = api["valid"][1]
        self.shapes = {}  # struct name -> shapes that carry it
        self.uses = {}  # struct name -> (versions where it stands, fields as cut there), for the first shape
        for side in ("request", "response"):
            self.collect(api[side])
        self.shared = {name for name, uses in self.uses.items() if len(uses) > 1}

    def collect(self, fields):
        for field in fields:
            children, name = field[8], field[9]
            if not children:
                continue
            known = self.shapes.setdefault(name, [])
            shape = shape_of(children)
            if shape not in known:
                known.append(shape)
            if known[0] == shape:
                self.uses.setdefault(name, []).append((field[2], children))
            self.collect(children)

    def whole(self, name):
        """A shared struct's fields in all versions: present wherever the struct is, unless some use says otherwise."""
        merged = []
        for at, field in enumerate(self.uses[name][0][1]):
            field = list(field)
            everywhere = all(fields[at][2] == place for place, fields in self.uses[name])
            cuts = [fields[at][2] for _, fields in self.uses[name]]
            field[2] = self.api["valid"] if everywhere else [min(c[0] for c in cuts), max(c[1] for c in cuts)]
            for column in (3, 4):  # nullable, tagged: in all its versions, or as the first use has it
                if field[column] is not None and all(f[at][column] == f[at][2] for _, f in self.uses[name]):
                    field[column] = field[2]
            merged.append(field)
        return merged

    def struct_name(self, field):
        """Two different structs of one name, in request and response: the second gets another."""
        name, children = field[9], field[8]
        place = self.shapes[name].index(shape_of(children))
        return name if place == 0 else f"{name}{place + 1}"

    def versions(self, versions):
        first, last = versions
        if last == self.last:
            return f"{first}+"
        return f"{first}" if first == last else f"{first}-{last}"

    def rows(self, fields, outer, indent):
        for field in fields:
            name, kind, versions, nullable, tagged, tag, default, ignorable, children, hint = field
            text = "[]" if kind.startswith("[]") else ""
            text += self.struct_name(field) if children else our_type(name, kind, hint)
            if nullable:
                text += "?" if nullable == versions else "?" + self.versions(nullable)
            rest = []
            if tagged:
                rest.append(f"tag {tag}" + ("" if tagged == versions else " " + self.versions(tagged)))
            if default not in (None, "", "0", "false"):
                rest.append("= " + {"9223372036854775807": "max", "2147483647": "max", "-2147483648": "min"}.get(default, default))
            if ignorable:
                rest.append("ignorable")
            yield ["  " * indent + snake(name), text, "" if versions == outer else self.versions(versions), " ".join(rest)]
            if children and not (hint in self.shared and self.struct_name(field) == hint):
                yield from self.rows(children, versions, indent + 1)

    def section(self, title, fields):
        print(title)
        rows = list(self.rows(fields, self.api["valid"], 1))
        widths = [max((len(r[i]) for r in rows), default=0) for i in range(3)]
        for row in rows:
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths + [0])).rstrip())

    def print(self):
        api = self.api
        head = f"api {api['key']} {snake(api['name'])} v{api['valid'][0]}-{api['valid'][1]}"
        if api["flexible"] is not None:
            head += f" flexible {api['flexible']}+"
        if api["advertised"] and api["advertised"] != api["valid"]:
            head += f" advertised {api['advertised'][0]}-{api['advertised'][1]}"
        print(head)
        # A shared struct stands behind those that it uses.
        pending = sorted(self.shared)
        while pending:
            ready = next(n for n in pending if not any(f[9] in pending for f in self.uses[n][0][1] if f[8]))
            self.section(f"struct {ready}", self.whole(ready))
            pending.remove(ready)
        self.section("request", api["request"])
        self.section("response", api["response"])


def main():
    facts = json.loads((ROOT / "src/wire/facts/kafka-4.3.json").read_text())
    api = next((a for a in facts["apis"] if a["key"] == int(sys.argv[1])), None)
    if api is None or api["valid"] is None:
        sys.exit(f"Kafka {facts['release']} has no API {sys.argv[1]}")
    Draft(api).print()


if __name__ == "__main__":
    main()
