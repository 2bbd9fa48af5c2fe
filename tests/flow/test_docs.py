"""The guides in docs/ say what is so: examples run, tables agree with the schemas and with the program."""
import glob
import http.client
import json
import os
import re
import sqlite3
import subprocess
import unittest

from house import SOURCE, TOLLGATE, House, wait_for


def read(*path):
    with open(os.path.join(SOURCE, *path)) as f:
        return f.read()


def table_after(text, heading, stop="\n## "):
    """The first cells of the rows of all tables below a heading, their `words` each."""
    part = text.split(heading, 1)[1].split(stop, 1)[0]
    rows = [line.strip("|").split(" | ") for line in part.split("\n") if line.startswith("| ") and not line.startswith("|--")]
    return [(re.findall(r"`([^`]+)`", cells[0]), [c.strip().strip("`") for c in cells]) for cells in rows]


def fields(schema, root, path=""):
    """Every field of a JSON Schema of ours: "listen[].tls.key", "providers.*.engine"; with whether it must be there."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].split("/")[-1]]
    for name, part in schema.get("properties", {}).items():
        here = path + "." + name if path else name
        yield here, name in schema.get("required", [])
        yield from fields(part, root, here)
    if isinstance(schema.get("additionalProperties"), dict):
        yield from fields(schema["additionalProperties"], root, path + ".*")
    if "items" in schema:
        yield from fields(schema["items"], root, path + "[]")


class Guides(unittest.TestCase):
    def test_every_guide_is_under_250_lines(self):
        """What is folded until it is asked for, as the rendered examples of dialects.md are, is not counted."""
        for path in glob.glob(os.path.join(SOURCE, "docs/*.md")):
            with open(path) as f:
                text = re.sub(r"(?s)<details>.*?</details>\n\n?", "", f.read())
            self.assertLess(len(text.splitlines()), 250, path)

    def test_every_command_that_a_page_shows_exists(self):
        for page in [os.path.join(SOURCE, "README.md")] + glob.glob(os.path.join(SOURCE, "docs/*.md")):
            with open(page) as f:
                text = f.read()
            for words in set(re.findall(r"(?m)^(?:    |)(?:build/)?tollgate ([a-z]+)", text)) | set(re.findall(r"`tollgate ([a-z]+)", text)):
                p = subprocess.run([TOLLGATE, words, "--help"], capture_output=True, text=True, timeout=60)
                self.assertEqual(p.returncode, 0, "%s: tollgate %s" % (page, words))

    def test_every_link_between_pages_leads_somewhere(self):
        for page in ["README.md"] + ["docs/" + os.path.basename(p) for p in glob.glob(os.path.join(SOURCE, "docs/*.md"))]:
            for link in re.findall(r"\]\(([^)#:]+)\)", read(page)):
                self.assertTrue(os.path.exists(os.path.join(SOURCE, os.path.dirname(page), link)), "%s: %s" % (page, link))


class Providers(unittest.TestCase):
    guide = read("docs/providers.md")

    def told(self, heading, head):
        return [w[0] for w, _ in table_after(self.guide, heading) if w and w[0] != head]

    def test_every_quirk_trait_and_known_server_of_the_source_is_there_in_its_order(self):
        quirks = re.findall(r'\{ "(\w+)", FIELD_', read("gateway/upstream/quirks.c"))
        traits = re.findall(r'\{ "(\w+)", FIELD_', read("gateway/upstream/traits.c"))
        self.assertTrue(len(quirks) > 15 and len(traits) > 10, "the tables in the source are not found")
        self.assertEqual(self.told("\n## Quirks", "quirk"), ["server", "models"] + quirks)
        self.assertEqual([name for name in self.told("\n## Traits of models", "trait")], traits)
        servers = re.findall(r'(?m)^    \{ "([a-z.-]+)", (?:NULL|"\w+"), ', read("gateway/upstream/quirks.c"))
        known = self.guide.split("\nKnown by host or dialect", 1)[1].split("\n## ", 1)[0]
        self.assertEqual(set(servers) - {"tollgate-engine"}, set(re.findall(r"`([^`]+)`", known)) & set(servers))

    def test_the_words_of_each_quirk_and_trait_are_those_of_the_source(self):
        for name in ("quirks", "traits"):
            words = re.findall(r'\{ "(\w+)", FIELD_WORD, AT\(\w+\),\s+FIELD_WORDS\(([^)]+)\)', read("gateway/upstream/%s.c" % name))
            self.assertTrue(words)
            told = dict((w[0], re.findall(r"`?([\w]+)`?", cells[1])) for w, cells in table_after(self.guide, "\n## ", "\n## What a") if w)
            for field, list_ in words:
                self.assertEqual(told[field], re.findall(r'"(\w+)"', list_), field)

    def test_the_examples_are_a_config_that_check_takes(self):
        shown = re.findall(r"```json\n(.*?)```", self.guide, re.S)
        with House(start=False) as h:
            for text in shown:
                text = text.strip()
                providers = json.loads("{" + text + "}")
                h.write("tollgate.json", dict(h.config, providers=dict(h.config["providers"], **providers.get("providers", providers))))
                code, out, err = h.run("check")
                self.assertEqual((code, [line for line in err.split("\n") if ": error: " in line]), (0, []), err)


class Policies(unittest.TestCase):
    guide = read("docs/policies.md")

    def test_the_example_passes(self):
        p = subprocess.run([TOLLGATE, "policy", "test", os.path.join(SOURCE, "docs/examples")], capture_output=True, text=True, timeout=60)
        self.assertEqual(p.returncode, 0, p.stdout + p.stderr)
        self.assertGreaterEqual(len(re.findall("(?m)^ok ", p.stdout)), 4)

    def test_what_the_guide_shows_is_what_runs(self):
        shown = re.findall(r"```json\n(.*?)```", self.guide, re.S)
        self.assertEqual(shown[0], read("docs/examples/support.policy.json"))
        self.assertIn(shown[1], read("docs/examples/support.test.json"))

    def test_checks_features_and_classes_are_those_of_the_source(self):
        checks = re.findall(r'\[CHECK_\w+\]\s*=\s*\{ "(\w+)"', read("policies/checks.c"))
        classes = re.findall(r'\[FAILURE_\w+\]\s*=\s*\{ "(\w+)"', read("policies/failure.c"))
        features = re.findall(r'\[FEATURE_\w+\]\s*=\s*"(\w+)"', read("policies/features.c"))
        self.assertEqual((len(checks), len(classes), len(features)), (5, 16, 11))
        self.assertEqual([w[0] for w, _ in table_after(self.guide, "\n## Checks") if w and w[0] != "check"], checks)
        told = [name for words, _ in table_after(self.guide, "\n## When an attempt fails") for name in words]
        self.assertEqual(sorted(told), sorted(set(classes) - {"none"}))
        told = [name for words, _ in table_after(self.guide, "\n| feature |", "\n## ") for name in words]
        self.assertEqual(sorted(told), sorted(features))

    def test_atoms_and_limits_are_those_of_the_schema(self):
        schema = json.loads(read("schemas/policy.schema.json"))
        told = {name for words, _ in table_after(self.guide, "\n## Conditions", "\n| feature |") for w in words for name in re.findall(r'\{"(\w+)"', w)}
        companions = {"at_least", "at_most", "is", "$comment"}
        self.assertEqual(told, set(schema["$defs"]["when"]["properties"]) - companions)
        told = [w[0] for w, _ in table_after(self.guide, "\n## Limits") if w]
        self.assertEqual(sorted(told), sorted(set(schema["properties"]["limits"]["properties"]) - {"$comment"}))
        told = [w[0] for w, _ in table_after(self.guide, "\n## Routes") if w]
        self.assertEqual(sorted(told), sorted(set(schema["$defs"]["route"]["properties"]) - {"$comment"}))

    def test_what_the_guide_says_of_scenarios_is_in_their_schema(self):
        schema = read("schemas/scenario.schema.json")
        for words, _ in table_after(self.guide, "\n## Scenarios"):
            for word in words:
                self.assertIn('"%s"' % word, schema)


class Operating(unittest.TestCase):
    guide = read("docs/operating.md")

    def test_its_table_has_every_field_of_the_config_and_no_other(self):
        schema = json.loads(read("schemas/config.schema.json"))
        rows = [(w[0], cells) for w, cells in table_after(self.guide, "\n## Config") if w]
        known = dict(fields(schema, schema))
        known.pop("$schema")
        told = {name: cells[1] for name, cells in rows}
        told.pop("$schema")
        self.assertEqual(sorted(told), sorted(known))
        for name, must in known.items():
            self.assertEqual(told[name] == "required", must, name)

    def test_defaults_of_limits_are_those_of_the_program_and_of_the_schema_s_names(self):
        source = dict(re.findall(r'json_int\(obj, "(\w+)", (\d+)\)', read("gateway/config.c")))
        told = {w[0].split(".")[1]: cells[1] for w, cells in table_after(self.guide, "\n## Config") if w and w[0].startswith("limits.")}
        self.assertEqual(told, source)

    def test_its_metrics_are_those_of_the_page(self):
        with House() as h:
            c = http.client.HTTPConnection("127.0.0.1", h.admin_port)
            c.request("GET", "/metrics")
            page = c.getresponse().read().decode()
            c.close()
        names = set(re.findall(r"(?m)^# TYPE tollgate_(\w+) ", page))
        told = {re.sub(r"\{.*", "", word) for words, _ in table_after(self.guide, "\n## Metrics") for word in words}
        self.assertEqual(told, names)

    def test_its_tables_are_those_of_the_ledger(self):
        sql = read("schemas/ledger-001.sql")
        names = set(re.findall(r"CREATE (?:TABLE|VIEW) (\w+)", sql)) - {"meta"}
        told = {word for words, _ in table_after(self.guide, "\n## The ledger") for word in words}
        self.assertEqual(told, names)

    def test_a_backup_taken_while_serving_is_a_whole_ledger(self):
        with House() as h:
            h.chat()
            wait_for(lambda: h.sql("select count(*) from reservations where state = 'open'")[0][0] == 0, what="the settlement")
            to = sqlite3.connect(h.path("copy.db"))
            source = sqlite3.connect(h.path("tollgate.db"))
            source.backup(to)    # what the shell's .backup calls
            source.close()
            self.assertEqual(to.execute("pragma integrity_check").fetchone()[0], "ok")
            to.close()
            h.write("copy.json", dict(h.config, ledger={"sqlite": "copy.db"}))
            p = subprocess.run([TOLLGATE, "audit", "--config", h.path("copy.json")], capture_output=True, text=True, timeout=60)
            self.assertEqual(p.returncode, 0, p.stdout + p.stderr)


if __name__ == "__main__":
    unittest.main()
