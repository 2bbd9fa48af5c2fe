"""What a JSON Schema asks is judged, and what cannot be judged is said."""
import json
import unittest

from house import Shared, wait_for

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}


def asked(schema):
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


class Schemas(Shared):
    def test_an_answer_that_does_not_fit_goes_to_the_next_model(self):
        self.h.mock.script("cheap", 'text={"n":"one"}')
        self.h.mock.script("strong", 'text={"n":1}')
        r = self.h.chat("count", response_format=asked(SCHEMA))
        self.assertEqual((r.status, r.text, r.headers["x-tollgate-model"]), (200, '{"n":1}', "strong"))
        self.assertNotIn("x-tollgate-warning", r.headers)

    def test_what_cannot_be_judged_is_warned_of_and_refused_where_one_is_strict(self):
        self.h.mock.script("cheap", "text={}")
        far = asked({"$ref": "https://example.com/schema"})
        r = self.h.chat("count", response_format=far)
        self.assertEqual((r.status, r.headers["x-tollgate-warning"]), (200, "unjudged=schema:$ref"))
        before = self.h.mock.stats()["requests"]
        r = self.h.chat("count", response_format=far, headers={"x-tollgate-strict": "true"})
        self.assertEqual((r.status, r.error["code"]), (400, "unsupported_parameter"))
        self.assertEqual(self.h.mock.stats()["requests"], before)

    def test_a_strict_key_is_strict_without_a_header(self):
        made = self.h.run("keys", "create", "--team", "a", "--name", "careful", "--strict", "--format", "json")[1]
        bearer = {"authorization": "Bearer " + json.loads(made)["key"]}
        far = asked({"$ref": "https://example.com/schema"})

        def refused():
            return self.h.chat("count", response_format=far, key=False, headers=bearer).status == 400
        wait_for(refused, what="the new key")


if __name__ == "__main__":
    unittest.main()
