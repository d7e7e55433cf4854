#!/usr/bin/env python3
"""Derives the committed fact tables of src/wire/facts from the protocol facts (…/kafka-protocol).

Run by hand when the facts change:
    tools/codegen/derive_facts.py /work/shared/kafka-protocol

kafka-4.3.json  every API: ranges of the 4.3 release and its fields in those versions, normalised:
                [name, type, versions, nullable, tagged, tag, default, ignorable, [children], hint]
                with ranges as [first, last] (cut to the valid range) or null, and tag -1 for none. The hint is the
                struct's name or what kind of entity the value names; it helps to draft a schema.
errors.tsv      code, name, retriable, refresh metadata.
"""

import json
import pathlib
import sys

RELEASE = "4.3"
FOREVER = 32767

# The facts are those of 4.4, cut to the versions of 4.3. These fields had another name in 4.3 (tests/golden found them).
NAME_THEN = {
    (28, "GenerationIdOrMemberEpoch"): "GenerationId",
    (88, "AcceptableRecoveryLagLegacy"): "AcceptableRecoveryLag",
}


def parse_range(text):
    if text is None or text == "none":
        return None
    if text.endswith("+"):
        return (int(text[:-1]), FOREVER)
    first, _, last = text.partition("-")
    return (int(first), int(last or first))


def intersect(a, b):
    if a is None or b is None:
        return None
    both = (max(a[0], b[0]), min(a[1], b[1]))
    return both if both[0] <= both[1] else None


def default_of(field):
    value = field.get("default")
    if value is None:
        return None
    value = str(value).lower() if isinstance(value, bool) else str(value)
    if value.startswith("0x"):
        value = str(int(value, 16))
    return value


def fields_of(key, fields, structs, valid):
    """Fields present in some version of `valid`; a field's own range is cut to its parent's."""
    rows = []
    for field in fields:
        versions = intersect(parse_range(field["versions"]), valid)
        if versions is None:
            continue
        bare = field["type"].replace("[]", "")
        children = field.get("fields") or structs.get(bare) or []
        if bare[0].isupper():
            kind = field["type"].replace(bare, "struct")
        else:
            kind = field["type"]
        nullable = intersect(parse_range(field.get("nullableVersions")), versions)
        tagged = intersect(parse_range(field.get("taggedVersions")), versions)
        rows.append([
            NAME_THEN.get((key, field["name"]), field["name"]), kind, versions, nullable, tagged, int(field["tag"]) if tagged else -1,
            default_of(field), bool(field.get("ignorable")), fields_of(key, children, structs, versions),
            bare if bare[0].isupper() else field.get("entityType"),
        ])
    return rows


def message_of(key, message, valid):
    structs = {s["name"]: s["fields"] for s in message.get("commonStructs", [])}
    return fields_of(key, message["fields"], structs, valid)


def main():
    source = pathlib.Path(sys.argv[1])
    target = pathlib.Path(__file__).resolve().parents[2] / "src/wire/facts"
    apis = []
    for path in sorted((source / "apis").glob("*.json")):
        facts = json.loads(path.read_text())
        release = facts.get("perRelease", {}).get(RELEASE) or {}
        valid = parse_range(release.get("validVersions"))
        if valid is None:  # gone, or newer than the release
            apis.append({"key": facts["apiKey"], "name": facts["name"], "valid": None})
            continue
        flexible = parse_range(facts["request"].get("flexibleVersions"))
        if flexible != parse_range(facts["response"].get("flexibleVersions")):
            raise SystemExit(f"{path}: request and response differ in flexible versions")
        apis.append({
            "key": facts["apiKey"],
            "name": facts["name"],
            "valid": valid,
            "advertised": parse_range(release.get("advertisedByBroker")),
            "flexible": flexible[0] if flexible else None,
            "request": message_of(facts["apiKey"], facts["request"], valid),
            "response": message_of(facts["apiKey"], facts["response"], valid),
        })
    lines = ",\n".join(json.dumps(api, separators=(",", ":")) for api in apis)
    (target / f"kafka-{RELEASE}.json").write_text(f'{{"release":"{RELEASE}","apis":[\n{lines}\n]}}\n')

    errors = json.loads((source / "errors.json").read_text())["errors"]
    rows = ["# code\tname\tretriable\trefresh_metadata"]
    for error in sorted(errors, key=lambda e: e["code"]):
        rows.append(f'{error["code"]}\t{error["name"]}\t{int(error["retriable"])}\t'
                    f'{int(bool(error.get("refreshMetadata")))}')
    (target / "errors.tsv").write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
