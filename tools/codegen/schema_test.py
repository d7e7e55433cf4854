#!/usr/bin/env python3
"""Aim: a slip in a schema is an error that names file and line, never a codec that is silently wrong. Method: one bad
schema per rule."""

import pathlib
import tempfile
import unittest

import schema as language

HEAD = "api 1 thing v0-5 flexible 3+\n"


def parse(text):
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / "01_thing.schema"
        path.write_text(text)
        return language.load(path)


class Refusals(unittest.TestCase):
    CASES = {
        "unknown type": ("request\n  a  int33\nresponse\n", 3, "unknown type int33"),
        "no type": ("request\n  a\nresponse\n", 3, "a name and a type"),
        "unknown word": ("request\n  a  int8  tagg 1\nresponse\n", 3, "unknown word tagg"),
        "versions outside": ("request\n  a  int8  4-9\nresponse\n", 3, "outside of"),
        "child outside its struct": ("request\n  a  []A  3+\n    b  int8  2+\nresponse\n", 4, "outside of"),
        "tag below flexible": ("request\n  a  int8  2+  tag 0\nresponse\n", 3, "tagged below"),
        "tagged records": ("request\n  a  records  3+  tag 0\nresponse\n", 3, "records can be neither"),
        "array of records": ("request\n  a  []records\nresponse\n", 3, "records can be neither"),
        "field twice": ("request\n  a  int8\n  a  int8\nresponse\n", 4, "appears twice"),
        "struct twice": ("request\n  a  []A\n    b  int8\nresponse\n  a  []A\n    b  int8\n", 5, "appears twice"),
        "fields below a number": ("request\n  a  int8\n    b  int8\nresponse\n", 3, "is no struct"),
        "bad indent": ("request\n    a  int8\n  b  int8\nresponse\n", 4, "indentation"),
        "no response": ("request\n  a  int8\n", 2, "wants sections"),
        "section of another kind": ("fields\n  a  int8\n", 2, "wants sections"),
        "unused struct": ("struct A\n  b  int8\nrequest\nresponse\n", 2, "never used"),
    }

    def test_each_names_its_line(self):
        for name, (body, line, message) in self.CASES.items():
            with self.subTest(name):
                with self.assertRaises(language.SchemaError) as caught:
                    parse(HEAD + body)
                self.assertIn(message, str(caught.exception))
                self.assertTrue(str(caught.exception).startswith("01_thing.schema:"), str(caught.exception))
                if name not in ("no response", "section of another kind", "struct twice"):
                    self.assertIn(f":{line}:", str(caught.exception))

    def test_bad_heads(self):
        for head in ("", "api 1 thing\nrequest\nresponse\n", "topic a v1\nfields\n", "api 1 a v0-1 flexi 1+\nrequest\n"):
            with self.subTest(head):
                self.assertRaises(language.SchemaError, parse, head)


class Reading(unittest.TestCase):
    def test_versions_nulls_and_tags(self):
        s = parse(HEAD + "request\n  a  []A?2+  1-4  # why\n    b  string?  4+  tag 7  = null\nresponse\n")
        a = s.messages[0].root.fields[0]
        self.assertEqual((a.versions, a.nullable, a.array), ((1, 4), (2, 4), True))
        b = a.struct.fields[0]
        self.assertEqual((b.versions, b.tag, b.tagged, b.default), ((4, 4), 7, (4, 4), "null"))
        self.assertEqual(s.advertised, (0, 5))


if __name__ == "__main__":
    unittest.main()
