#!/usr/bin/env python3
"""Compares src/wire/schema with the committed facts of Kafka 4.3 (src/wire/facts). Says each difference; exit 1 if any.

Names of structs are ours and not compared; a field's name is compared without its underscores and case. Versions are cut
to the valid range first, since what a dead version would hold is nobody's matter. With --self-test it changes the facts
in memory, one thing at a time, and checks that each change is seen.
"""

import copy
import json
import pathlib
import sys

import schema as language

ROOT = pathlib.Path(__file__).resolve().parents[2]


def pair(versions):
    return list(versions) if versions else None


def same_name(ours, kafkas):
    return ours.replace("_", "") == kafkas.lower()


def default_of(field):
    if field.default in ("max", "min"):
        bits = language.INTEGER_BITS[field.wire]
        return str(2 ** (bits - 1) - 1 if field.default == "max" else -2 ** (bits - 1))
    if field.default is None and field.wire in ("bool",):
        return "false"
    if field.default is None and field.wire in language.INTEGER_BITS and not field.array:
        return "0"
    return field.default or None


def fact_default(kind, value):
    if value is None and kind == "bool":
        return "false"
    if value is None and kind in language.INTEGER_BITS:
        return "0"
    return value or None


def compare_fields(where, ours, facts):
    for index in range(max(len(ours), len(facts))):
        if index >= len(ours):
            yield f"{where}: {facts[index][0]} is missing"
            continue
        field = ours[index]
        at = f"{where}.{field.name}"
        if index >= len(facts):
            yield f"{at}: Kafka has no such field"
            continue
        name, kind, versions, nullable, tagged, tag, default, ignorable, children, _ = facts[index]
        if not same_name(field.name, name):
            yield f"{at}: Kafka's field here is {name}"
            continue
        our_kind = ("[]" if field.array else "") + field.wire
        checks = [
            ("type", our_kind, kind), ("versions", pair(field.versions), versions),
            ("nullable versions", pair(field.nullable), nullable), ("tagged versions", pair(field.tagged), tagged),
            ("tag", -1 if field.tag is None else field.tag, tag),
            ("default", default_of(field), fact_default(kind, default)), ("ignorable", field.ignorable, ignorable),
        ]
        for what, mine, fact in checks:
            if mine != fact:
                yield f"{at}: {what} is {mine}, Kafka's is {fact}"
        yield from compare_fields(at, field.struct.fields if field.struct else [], children)


def cut(fields, versions):
    """Shared structs are written for all versions: cut them to where they stand, as the facts are."""
    kept = []
    for field in fields:
        both = (max(field.versions[0], versions[0]), min(field.versions[1], versions[1]))
        if both[0] > both[1]:
            continue
        field = copy.copy(field)
        field.versions = both
        for name in ("nullable", "tagged"):
            value = getattr(field, name)
            if value:
                value = (max(value[0], both[0]), min(value[1], both[1]))
                setattr(field, name, value if value[0] <= value[1] else None)
        if field.struct:
            field.struct = language.Struct(field.struct.name, cut(field.struct.fields, both), both)
        kept.append(field)
    return kept


def compare(schemas, facts):
    by_key = {api["key"]: api for api in facts["apis"]}
    for s in schemas:
        if s.kind != "api":
            continue
        fact = by_key.get(s.key)
        if fact is None or fact["valid"] is None:
            yield f"{s.name}: Kafka {facts['release']} has no API {s.key}"
            continue
        if not same_name(s.name, fact["name"]):
            yield f"{s.name}: Kafka calls {s.key} {fact['name']}"
        for what, mine, kafkas in (("versions", pair(s.versions), fact["valid"]),
                                   ("advertised versions", pair(s.advertised), fact["advertised"]),
                                   ("flexible from", s.flexible, fact["flexible"])):
            if mine != kafkas:
                yield f"{s.name}: {what} {mine}, Kafka's are {kafkas}"
        for message, side in zip(s.messages, ("request", "response")):
            yield from compare_fields(f"{s.name}.{side}", cut(message.root.fields, s.versions), fact[side])


def self_test(schemas, facts):
    """Each mutation of one fact about Fetch must be seen."""
    fetch = next(i for i, api in enumerate(facts["apis"]) if api["key"] == 1)
    changes = [lambda a: a.update(valid=[4, 17]), lambda a: a.update(advertised=[3, 18]),
               lambda a: a.update(flexible=11), lambda a: a["request"].pop()]
    for column, value in ((0, "Other"), (1, "int64"), (2, [5, 18]), (3, [4, 18]), (4, [12, 18]), (5, 3), (6, "7"),
                          (7, None), (8, [["X", "int8", [4, 18], None, None, -1, None, False, [], None]])):
        changes.append(lambda a, c=column, v=value: a["response"][2].__setitem__(c, v))
    missed = 0
    for number, change in enumerate(changes):
        other = copy.deepcopy(facts)
        change(other["apis"][fetch])
        if not list(compare(schemas, other)):
            print(f"self-test: change {number} of the facts was not seen")
            missed += 1
    return missed


def main():
    schemas = language.load_all(ROOT / "src/wire/schema")
    facts = json.loads((ROOT / "src/wire/facts/kafka-4.3.json").read_text())
    problems = list(compare(schemas, facts))
    for problem in problems:
        print(problem)
    missed = self_test(schemas, facts)
    apis = sum(s.kind == "api" for s in schemas)
    print(f"{apis} APIs compared with Kafka {facts['release']}: {len(problems)} differences")
    sys.exit(1 if problems or missed or not apis else 0)


if __name__ == "__main__":
    main()
