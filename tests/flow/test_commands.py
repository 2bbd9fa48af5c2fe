"""Commands as a shell calls them: help, exit codes, and words that say what is wrong and what would be right."""
import glob
import http.client
import json
import os
import re
import shutil
import sqlite3
import subprocess
import tempfile
import tomllib
import unittest
import xml.etree.ElementTree
from decimal import Decimal

from house import CHECKS, SOURCE, TOLLGATE, House, Shared, book, policy, wait_for

COMMANDS = ["init", "serve", "check", "explain", "policy test", "policy", "costs", "audit", "keys", "keys create", "keys list",
            "keys revoke", "keys rotate", "budgets", "budgets set", "budgets list", "budgets remove", "connect"]
CLIENTS = ["claude-code", "codex", "cursor", "cline", "openai", "anthropic", "gemini", "ai-sdk", "langchain", "curl"]


def run(*argv, cwd=None, env=None):
    p = subprocess.run([TOLLGATE, *argv], capture_output=True, text=True, cwd=cwd, env=env, timeout=60)
    return p.returncode, p.stdout, p.stderr


class Help(unittest.TestCase):
    def test_every_command_has_help_on_stdout_with_exit_0(self):
        for command in COMMANDS:
            with self.subTest(command):
                code, out, err = run(*command.split(), "--help")
                self.assertEqual((code, err), (0, ""))
                self.assertIn("usage: tollgate " + command.split()[0], out)
        for argv in (["--help"], ["help"], ["--version"]):
            code, out, err = run(*argv)
            self.assertEqual((code, err), (0, ""), argv)
            self.assertIn("tollgate", out)

    def test_the_overview_names_every_command(self):
        out = run("--help")[1]
        for command in COMMANDS:
            self.assertIn("\n  %s " % command.split()[0], out)

    def test_a_wrong_option_is_exit_2_with_words_on_stderr(self):
        for command in COMMANDS:
            with self.subTest(command):
                code, out, err = run(*command.split(), "--no-such-option")
                self.assertEqual((code, out), (2, ""))
                self.assertIn("no-such-option", err)

    def test_an_unknown_command_is_exit_2(self):
        for argv in (["serv"], ["policy", "tset"], ["keys", "make"], ["budgets", "lst"], []):
            code, out, err = run(*argv)
            self.assertEqual((code, out), (2, ""), argv)
            self.assertRegex(err, "usage|--help")

    def test_missing_and_wrong_arguments_are_exit_2(self):
        for argv in (["keys", "create"], ["keys", "create", "--team", "a"], ["keys", "revoke"], ["budgets", "set"],
                     ["budgets", "set", "--team", "a", "--usd", "x", "--period", "day"],
                     ["budgets", "set", "--team", "a", "--usd", "1", "--period", "year"],
                     ["budgets", "set", "--team", "a", "--usd", "-1", "--period", "day"],
                     ["costs", "--by", "colour"], ["costs", "--from", "yesterday"], ["costs", "--format", "xml"],
                     ["connect"], ["connect", "emacs"], ["explain"], ["policy", "test"], ["policy", "test", "--format", "xml", "."]):
            with self.subTest(argv):
                code, out, err = run(*argv)
                self.assertEqual((code, out), (2, ""))
                self.assertTrue(err)

    def test_help_is_the_same_by_its_short_name_and_says_the_default_config(self):
        for command in COMMANDS:
            code, out, err = run(*command.split(), "-h")
            self.assertEqual((code, out, err), (0, run(*command.split(), "--help")[1], ""), command)
            if "--config FILE " in out:
                self.assertIn("(default: tollgate.json)", out, command)

    def test_help_fits_a_terminal_of_120_columns(self):
        for command in COMMANDS:
            for line in run(*command.split(), "--help")[1].split("\n"):
                self.assertLessEqual(len(line), 120, (command, line))

    def test_a_format_that_a_command_has_not_is_exit_2(self):
        for argv in (["audit", "--format", "csv"], ["explain", "--format", "xml", "-"], ["costs", "--format", "xml"],
                     ["keys", "create", "--team", "a", "--name", "b", "--format", "csv"], ["keys", "rotate", "--id", "k", "--format", "csv"]):
            code, out, err = run(*argv)
            self.assertEqual((code, out), (2, ""), argv)
            self.assertIn("--format", err)

    def test_costs_refuses_a_field_twice_and_a_time_that_ends_before_it_begins(self):
        for argv, word in ((["--by", "team,team"], "team"), (["--by", "tag:a,day,tag:a"], "tag:a"),
                           (["--from", "2026-11-24", "--to", "2026-11-23"], "--to")):
            code, out, err = run("costs", *argv)
            self.assertEqual((code, out), (2, ""), argv)
            self.assertIn(word, err)

    def test_a_config_that_is_not_there_is_exit_1_and_named(self):
        for command in ("serve", "check", "costs", "audit", "keys list", "budgets list", "connect curl"):
            with self.subTest(command):
                code, out, err = run(*command.split(), "--config", "/nowhere/tollgate.json")
                self.assertEqual(code, 1)
                self.assertIn("/nowhere/tollgate.json", err)
                self.assertIn("tollgate init", err)


class Init(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="tollgate-flow-")
        self.addCleanup(shutil.rmtree, self.dir)

    def test_what_init_made_passes_check_and_a_second_init_overwrites_nothing(self):
        to = os.path.join(self.dir, "demo")
        code, out, err = run("init", "--models", os.path.join(SOURCE, "engine/models"), to)
        self.assertEqual((code, err), (0, ""))
        self.assertIn("tollgate serve --config", out)
        self.assertEqual(run("check", "--config", to + "/tollgate.json")[::2], (0, ""))
        before = {n: open_read(os.path.join(to, n)) for n in os.listdir(to)}
        code, out, err = run("init", to)
        self.assertEqual((code, out), (1, ""))
        self.assertIn("is there already", err)
        self.assertEqual({n: open_read(os.path.join(to, n)) for n in os.listdir(to)}, before)

    KEYS = ("DEEPSEEK_API_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY")
    OWN = dict(zip(KEYS, ("deepseek/deepseek-v4-pro", "gpt-5.5", "claude-opus-4.7", "gemini-3.1-pro")))    # of each, in a policy

    def init_with(self, *keys):
        """A folder made with only these keys of providers set, and that environment."""
        env = {k: v for k, v in os.environ.items() if not k.endswith("_API_KEY")}
        env.update({k: "sk-x" for k in keys})
        to = os.path.join(self.dir, str(len(os.listdir(self.dir))))
        code, out, err = run("init", "--models", os.path.join(SOURCE, "engine/models"), to, env=env)
        self.assertEqual((code, err), (0, ""))
        return to, env, out

    def test_with_any_providers_key_init_makes_what_check_finds_nothing_to_say_about(self):
        for keys in [self.KEYS[n:n + 1] for n in range(4)] + [self.KEYS[:2], self.KEYS[1:], self.KEYS]:
            with self.subTest(keys):
                to, env, out = self.init_with(*keys)
                self.assertEqual(run("check", "--config", to + "/tollgate.json", env=env)[::2], (0, ""))
                for key in self.KEYS:
                    self.assertEqual(key in out, key not in keys)
                config, policy = (open_read(os.path.join(to, name)).decode() for name in ("tollgate.json", "policy.json"))
                for key, model in self.OWN.items():
                    self.assertEqual('"env": "%s"' % key in config, key in keys)
                    self.assertEqual('"%s"' % model in policy, key in keys, model)

    def test_what_init_made_for_one_key_serves_and_keeps_sensitive_requests_here(self):
        to, env, _ = self.init_with("DEEPSEEK_API_KEY")
        with House(start=False, env=env) as h:
            made = json.loads(open_read(to + "/tollgate.json"))
            made["providers"]["deepseek"]["base_url"] = "http://127.0.0.1:%d/v1" % h.mock.port
            h.write("tollgate.json", dict(h.config, providers=made["providers"]))
            h.write("prices.json", open_read(to + "/prices.json").decode())
            h.write("policy.json", open_read(to + "/policy.json").decode())
            h.start()
            self.assertEqual([line for line in h.server.output if "warning" in line.lower()], [])
            a = h.chat("Hi")
            self.assertEqual((a.status, a.headers["x-tollgate-provider"]), (200, "deepseek"))
            a = h.chat("What is 17 + 25?", headers={"x-tollgate-sensitivity": "high"})
            self.assertEqual((a.status, a.headers["x-tollgate-provider"], a.headers["x-tollgate-route"]), (200, "local", "sovereign"))
            self.assertEqual(h.mock.stats()["requests"], 1)

    def test_an_installed_program_finds_the_models_that_were_installed_with_it(self):
        for folder in ("usr/bin", "usr/share/tollgate"):
            os.makedirs(os.path.join(self.dir, folder))
        program = os.path.join(self.dir, "usr/bin/tollgate")
        shutil.copy(TOLLGATE, program)
        os.symlink(os.path.realpath(os.path.join(SOURCE, "engine/models")), os.path.join(self.dir, "usr/share/tollgate/models"))
        p = subprocess.run([program, "init", self.dir + "/demo"], capture_output=True, text=True, timeout=60)
        self.assertEqual((p.returncode, p.stderr), (0, ""))
        self.assertEqual(run("check", "--config", self.dir + "/demo/tollgate.json")[::2], (0, ""))

    def test_secrets_of_init_are_for_their_owner_alone(self):
        run("init", "--models", os.path.join(SOURCE, "engine/models"), self.dir + "/demo")
        for name in ("key.txt", "key.pem"):
            self.assertEqual(os.stat(os.path.join(self.dir, "demo", name)).st_mode & 0o77, 0, name)

    def test_two_inits_share_no_secret(self):
        for n in "ab":
            run("init", "--models", os.path.join(SOURCE, "engine/models"), os.path.join(self.dir, n))
        for name in ("key.txt", "key.pem", "ca.pem", "cert.pem"):
            self.assertNotEqual(open_read(os.path.join(self.dir, "a", name)), open_read(os.path.join(self.dir, "b", name)))

    def test_a_folder_that_cannot_be_made_is_named(self):
        with open(self.dir + "/file", "w"):
            pass
        code, out, err = run("init", self.dir + "/file/demo")
        self.assertEqual(code, 1)
        self.assertIn("file/demo", err)

    def test_a_file_in_place_of_the_folder_is_called_one(self):
        with open(self.dir + "/file", "w"):
            pass
        code, out, err = run("init", "--models", os.path.join(SOURCE, "engine/models"), self.dir + "/file")
        self.assertEqual((code, err), (1, "tollgate init: %s/file is a file: name a folder, which is made if it is not there\n" % self.dir))


def open_read(path):
    with open(path, "rb") as f:
        return f.read()


class Check(Shared):
    options = {"start": False, "mock": False, "config": {"providers": {"p": {"dialect": "openai", "base_url": "https://api.example/v1"}}},
               "book": {"book": "t", "read_on": "2026-11-20", "models": {}}}

    def setUp(self):
        prices = json.loads(json.dumps(book(("cheap",))).replace("mock/", "p/"))
        self.files = {"tollgate.json": json.dumps(self.h.config, indent=1), "prices.json": json.dumps(prices, indent=1),
                      "policy.json": json.dumps(policy(routes=[{"name": "default", "steps": [{"model": "p/cheap"}]}]), indent=1)}
        self.write()

    def write(self, **changed):
        for name, text in dict(self.files, **{n.replace("_", "."): t for n, t in changed.items()}).items():
            self.h.write(name, text)

    def check(self):
        return self.h.run("check", check=False)

    def broken(self, file, old, new, pointer, *words):
        with self.subTest(new=new):
            text = self.files[file]
            self.assertIn(old, text)
            self.write(**{file.replace(".", "_"): text.replace(old, new, 1)})
            code, out, err = self.check()
            said = out + err
            self.assertEqual(code, 1, said)
            line = text[:text.index(old)].count("\n") + 1
            found = [x for x in said.split("\n") if "%s:" % file in x and pointer in x]
            self.assertTrue(found, "%s %s:\n%s" % (file, pointer, said))
            at = [int(re.search(re.escape(file) + r":(\d+):", x).group(1)) for x in found]
            self.assertTrue(any(abs(a - line) <= 2 for a in at), "line %d, not %s" % (line, at))
            for word in words:
                self.assertIn(word, said)
            self.write()

    def test_a_good_config_is_ok(self):
        code, out, err = self.check()
        self.assertEqual((code, err), (0, ""), out + err)

    def test_each_kind_of_fault_is_told_with_file_line_pointer_and_a_hint(self):
        config, prices, rules = "tollgate.json", "prices.json", "policy.json"
        self.broken(config, '"workers"', '"wrokers"', "/wrokers", "workers")
        self.broken(config, '"workers": 1', '"workers": 0', "/workers", "core")
        self.broken(config, '"workers": 1', '"workers": "2"', "/workers")
        self.broken(config, '"127.0.0.1:0"', '"localhost:8443"', "/listen/0/address", "127.0.0.1:8443")
        self.broken(config, '"dialect": "openai"', '"dialect": "opnai"', "/providers/p/dialect", "openai")
        self.broken(config, '"https://api.example/v1"', '"http://api.example/v1"', "/providers/p", "allow_http")
        self.broken(config, '"https://api.example/v1"', '"ftp://x"', "/providers/p/base_url", "https://")
        self.broken(config, '"cert.pem"', '"nocert.pem"', "/listen/0/tls", "nocert.pem")
        self.broken(config, '"dialect": "openai"', '"dialect": "openai", "keys": ["sk-123"]', "/providers/p/keys/0", "env")
        self.broken(config, '"cert.pem"', '"ca.pem"', "/listen/0/tls/key", "mismatch")
        self.broken(config, '"cert.pem"', '"policy.json"', "/listen/0/tls/certificate", "PEM")
        self.broken(config, '"127.0.0.1:0"', '"127.0.0.999:8443"', "/listen/0", "IP address")
        self.broken(config, '"tollgate.db"', '"no/such/folder/x.db"', "/ledger/sqlite", "no/such/folder")
        self.broken(config, '"tollgate.db"', '"."', "/ledger/sqlite", "directory")
        self.broken(config, '"tollgate.db"', '"cert.pem"', "/ledger/sqlite", "no SQLite database")
        self.broken(config, '"https://api.example/v1"', '"https://api.example/v1/chat/completions"', "/providers/p/base_url", "end it")
        self.broken(config, '"https://api.example/v1"', '"https://api.example/v1", "quirks": {"nonsense": 1}', "/providers/p/quirks/nonsense")
        self.broken(config, '"prices": "prices.json"', '"prices": "nowhere.json"', "/prices", "nowhere.json")
        self.broken(prices, '"input": "1"', '"input": 1', "/models/p~1cheap/versions/0")
        self.broken(prices, '"input": "1"', '"input": "-1"', "/models/p~1cheap/versions/0")
        self.broken(prices, '"input": "1"', '"input": "0.0000001"', "/models/p~1cheap/versions/0")
        self.broken(prices, '"source": "made for a test",', '', "/models/p~1cheap/versions/0", "source")
        self.broken(rules, '"p/cheap"', '"p/chaep"', "/routes/0/steps/0", "p/cheap")
        self.broken(rules, '"steps"', '"setps"', "/routes/0")
        self.broken(rules, '"attempts": 7', '"attempts": 0', "/limits/attempts")
        self.broken(rules, '"name": "default"', '"name": "default", "when": {"team": "x"}', "/routes/0", "when")

    def test_what_is_no_json_is_told_with_its_line(self):
        for file in self.files:
            text = self.files[file]
            at = text.index("\n", len(text) // 2)
            self.write(**{file.replace(".", "_"): text[:at] + "\n}}" + text[at:]})
            code, out, err = self.check()
            self.assertEqual(code, 1)
            line = text[:at].count("\n") + 2
            self.assertRegex(out + err, "%s:(%d|%d):" % (re.escape(file), line, line + 1))
            self.write()

    def test_all_errors_are_told_at_once(self):
        self.write(tollgate_json=self.files["tollgate.json"].replace('"workers"', '"wrokers"').replace('"openai"', '"opnai"'))
        code, out, err = self.check()
        self.assertIn("/wrokers", out + err)
        self.assertIn("/providers/p/dialect", out + err)

    def test_a_key_whose_variable_is_unset_is_a_warning_and_exit_0(self):
        self.write(tollgate_json=self.files["tollgate.json"].replace('"dialect": "openai"',
                   '"dialect": "openai", "keys": [{"env": "FLOW_UNSET_KEY"}]'))
        code, out, err = self.check()
        self.assertEqual(code, 0)
        self.assertRegex(err, r"tollgate\.json:\d+: warning: /providers/p/keys/0: .*FLOW_UNSET_KEY")

    def test_a_provider_without_a_priced_model_is_a_warning_that_says_what_is_missing(self):
        self.write(tollgate_json=self.files["tollgate.json"].replace('"p": {', '"q": {"dialect": "openai", "base_url": "https://q.example/v1"}, "p": {'))
        code, out, err = self.check()
        self.assertEqual(code, 0)
        self.assertRegex(err, r"tollgate\.json:\d+: warning: /providers/q: .*q/MODEL")

    def test_metrics_on_a_caller_s_address_are_refused(self):
        self.write(tollgate_json=json.dumps(dict(self.h.config, listen=[dict(self.h.config["listen"][0], address="127.0.0.1:8443")],
                                                 admin={"address": "127.0.0.1:8443"})))
        code, out, err = self.check()
        self.assertEqual(code, 1)
        self.assertIn("/admin/address", err)

    def test_a_book_older_than_30_days_is_a_warning(self):
        self.write(prices_json=re.sub(r'"read_on": "[^"]*"', '"read_on": "2025-01-01"', self.files["prices.json"]))
        code, out, err = self.check()
        self.assertEqual(code, 0)
        self.assertRegex(out + err, r"prices\.json:\d+: warning: /read_on: .*\d+ days ago")

    def test_a_model_whose_first_price_is_still_to_come_is_a_warning(self):
        self.write(prices_json=self.files["prices.json"].replace('"from": "2020-', '"from": "2120-', 1))
        code, out, err = self.check()
        self.assertEqual(code, 0)
        self.assertRegex(err, r"prices\.json:\d+: warning: /models/p~1\w+/versions: no price is in force now")

    def test_serve_refuses_what_check_refuses(self):
        self.write(tollgate_json=self.files["tollgate.json"].replace('"workers"', '"wrokers"'))
        code, out, err = self.h.run("serve", check=False)
        self.assertEqual(code, 1)
        self.assertIn("/wrokers", out + err)


class Explain(Shared):
    options = {"start": False, "policy": policy(
        labels={"sensitive": {"any": [{"header": "x-tollgate-sensitivity", "is": "high"}, {"team": "legal"}]}},
        routes=[{"name": "sovereign", "when": {"label": "sensitive"}, "placement": "local", "steps": [{"model": "near/safe", "checks": CHECKS}]},
                {"name": "hard", "when": {"feature": "math", "at_least": 0.6}, "steps": [{"model": "mock/strong"}]},
                {"name": "default", "steps": [{"model": "mock/cheap"}, {"model": "mock/strong"}]}]),
        "book": book(("cheap", "strong"), **{"near/safe": {"context": 1000, "versions": [
            {"from": "2020-01-01T00:00:00Z", "source": "test", "input": "1", "output": "1"}]}})}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.h.config["providers"]["near"] = {"dialect": "openai", "placement": "local", "base_url": "http://127.0.0.1:1/v1"}
        cls.h.write("tollgate.json", cls.h.config)

    def explain(self, prompt, *more, **fields):
        self.h.write("request.json", dict({"model": "auto", "messages": [{"role": "user", "content": prompt}]}, **fields))
        return json.loads(self.h.run("explain", self.h.path("request.json"), "--format", "json", *more)[1]), \
            self.h.run("explain", self.h.path("request.json"), *more)[1]

    def test_a_plain_request_takes_the_default_route(self):
        data, text = self.explain("Hi")
        self.assertEqual(data["plan"]["route"], "default")
        self.assertEqual([s["model"] for s in data["plan"]["steps"]], ["mock/cheap", "mock/strong"])
        self.assertEqual([r["name"] for r in data["routes"]], ["sovereign", "hard", "default"])
        self.assertIn('plan: route "default"', text)
        self.assertIn("mock/cheap", text)

    def test_a_sensitive_request_stays_local_by_header_and_by_team(self):
        for more in (("--header", "x-tollgate-sensitivity: High"), ("--team", "legal")):
            data, text = self.explain("Hi", *more)
            self.assertEqual((data["plan"]["route"], data["plan"]["local"]), ("sovereign", True))
            self.assertEqual([s["model"] for s in data["plan"]["steps"]], ["near/safe"])
            self.assertIn("sovereign (local): answers", text)
        data, text = self.explain("Hi", "--team", "legal", model="mock/strong")
        self.assertEqual(data["plan"]["route"], "sovereign")
        self.assertIn("mock/strong", data["plan"]["warning"])

    def test_a_hard_request_takes_the_hard_route_and_says_why(self):
        data, text = self.explain("Prove that $\\sum_{i=1}^n i = \\frac{n(n+1)}{2}$ by induction, then evaluate "
                                  "$\\int_0^1 x^2 dx$ and the theorem's derivative, matrix and eigenvalue equation.")
        self.assertEqual(data["plan"]["route"], "hard")
        self.assertGreaterEqual(data["features"]["math"], 0.6)
        self.assertIn("math at_least 0.6", text)

    def test_the_worst_case_is_what_serve_reserves(self):
        data, _ = self.explain("Hi", max_tokens=100)
        with House(policy=self.options["policy"], book=self.options["book"], start=False) as h:
            h.config["providers"]["near"] = self.h.config["providers"]["near"]
            h.write("tollgate.json", h.config)
            h.start()
            r = h.chat("Hi", max_tokens=100)
            self.assertEqual(h.sql("select amount_nano from reservations")[0][0], data["plan"]["steps"][0]["worst_nano"])
            self.assertEqual(r.headers["x-tollgate-model"], "cheap")

    def test_a_bad_request_or_a_missing_file_is_exit_1_and_told(self):
        self.h.write("request.json", '{"model": "auto", "messages": 5}')
        code, out, err = self.h.run("explain", self.h.path("request.json"), check=False)
        self.assertEqual(code, 1)
        self.assertIn("messages", err)
        code, out, err = self.h.run("explain", self.h.path("nowhere.json"), check=False)
        self.assertEqual(code, 1)
        self.assertIn("nowhere.json", err)

    def test_a_header_that_serve_refuses_is_refused_in_the_same_words(self):
        self.h.write("request.json", {"model": "auto", "messages": [{"role": "user", "content": "Hi"}]})
        for header in ("x-tollgate-max-cost-usd: 0.14 USD", "x-tollgate-deadline-ms: soon", "x-tollgate-tag: project"):
            code, out, err = self.h.run("explain", self.h.path("request.json"), "--header", header, check=False)
            self.assertEqual((code, out), (1, ""), header)
            self.assertIn("Invalid header '%s'" % header.split(":")[0], err)

    def test_every_header_that_serve_takes_is_taken(self):
        headers = ("x-tollgate-tag: dept=legal", "x-tollgate-session: s", "x-tollgate-max-cost-usd: 1",
                   "x-tollgate-deadline-ms: 5000", "x-tollgate-strict: true", "x-tollgate-route: hard")
        data, text = self.explain("Hi", *(word for h in headers for word in ("--header", h)))
        self.assertEqual(data["features"]["tags"], {"dept": "legal"})
        self.assertEqual(data["plan"]["route"], "hard")

    def test_a_plan_of_which_nothing_can_be_tried_says_so(self):
        data, text = self.explain("Hi", "--header", "x-tollgate-max-cost-usd: 0.000000001")
        self.assertEqual(data["plan"]["worst"]["attempts"], 0)
        self.assertIn("the request is refused", text)

    def test_the_text_fits_a_terminal_of_100_columns(self):
        for line in self.explain("Hi")[1].split("\n"):
            self.assertLessEqual(len(line), 100, line)

    def test_nothing_is_called(self):
        self.explain("Hi")
        self.assertEqual(self.h.mock.stats()["requests"], 0)


class Connect(Shared):
    options = {"start": False, "mock": True}

    def test_every_client_gets_lines_without_a_key_in_them(self):
        for client in CLIENTS:
            code, out, err = self.h.run("connect", client)
            self.assertEqual((code, err), (0, ""))
            self.assertTrue(out.strip())
            self.assertNotIn(self.h.key, out)
            self.assertIn("https://127.0.0.1:", out)
            self.assertIn(client, self.h.run("connect", "--help")[1])

    def exports(self, client):
        """What the lines for a client set in the shell, without comments."""
        lines = self.h.run("connect", client)[1].split("\n")
        return dict(line[len("export "):].split(" #")[0].strip().split("=", 1) for line in lines if line.startswith("export "))

    def test_each_sdk_gets_the_base_url_that_it_puts_its_paths_behind(self):
        url = "https://%s" % self.h.config["listen"][0]["address"]
        for client, name, path in (("openai", "OPENAI_BASE_URL", "/v1"), ("langchain", "OPENAI_BASE_URL", "/v1"),
                                   ("ai-sdk", "OPENAI_BASE_URL", "/v1"), ("anthropic", "ANTHROPIC_BASE_URL", ""),
                                   ("langchain", "ANTHROPIC_BASE_URL", ""), ("ai-sdk", "ANTHROPIC_BASE_URL", "/v1"),
                                   ("claude-code", "ANTHROPIC_BASE_URL", ""), ("gemini", "GOOGLE_GEMINI_BASE_URL", "")):
            self.assertEqual(self.exports(client)[name], url + path, client)
        self.assertIn('baseURL: "%s/v1beta"' % url, self.h.run("connect", "ai-sdk")[1])
        for client in ("cursor", "cline"):
            self.assertIn(url + "/v1;", self.h.run("connect", client)[1])

    def test_claude_code_gets_the_key_as_a_token_alone_and_a_model_that_its_list_keeps(self):
        env = self.exports("claude-code")
        self.assertEqual((env["ANTHROPIC_AUTH_TOKEN"], env["ANTHROPIC_API_KEY"]), ("$TOLLGATE_KEY", ""))
        self.assertTrue(env["ANTHROPIC_MODEL"].startswith("claude"))

    def test_the_lines_for_codex_are_a_config_of_its_own(self):
        out = self.h.run("connect", "codex")[1]
        config = tomllib.loads(out[:out.index("# and then")])
        provider = config["model_providers"][config["model_provider"]]
        self.assertNotIn(config["model_provider"], ("openai", "ollama", "lmstudio"))
        self.assertEqual((provider["wire_api"], provider["env_key"]), ("responses", "TOLLGATE_KEY"))
        self.assertEqual(provider["base_url"], "https://%s/v1" % self.h.config["listen"][0]["address"])

    def test_the_lines_work_in_a_shell_whatever_the_folder_is_called(self):
        with tempfile.TemporaryDirectory() as parent:
            folder = os.path.join(parent, "it's a house")
            shutil.copytree(self.h.dir, folder)
            for name in ("ca.pem", "key.txt"):
                with open(os.path.join(folder, name), "w") as f:
                    f.write(name)
            lines = subprocess.run([TOLLGATE, "connect", "--config", os.path.join(folder, "tollgate.json"), "openai"],
                                   capture_output=True, text=True).stdout
            told = subprocess.run(["sh", "-c", lines + '\nprintf "%s|%s" "$TOLLGATE_KEY" "$SSL_CERT_FILE"'],
                                  capture_output=True, text=True).stdout
            self.assertEqual(told, "key.txt|" + os.path.join(folder, "ca.pem"))

    def test_the_lines_for_curl_work_as_they_stand(self):
        with House() as h:
            h.write("tollgate.json", dict(h.config, listen=[dict(h.config["listen"][0], address="127.0.0.1:%d" % h.port)]))
            lines = h.run("connect", "curl")[1]
            p = subprocess.run(["sh", "-c", lines.replace("curl ", "curl -sS ", 1)], capture_output=True, text=True,
                               env=dict(os.environ, TOLLGATE_KEY=h.key), timeout=30) if shutil.which("curl") else None
            if p is None:
                self.skipTest("curl is not installed")
            self.assertIn('"choices"', p.stdout, p.stderr)


class Money(unittest.TestCase):
    def test_a_budget_for_a_team_without_keys_is_set_with_a_note_and_a_list_names_the_team(self):
        with House(start=False) as h:
            code, out, err = h.run("budgets", "set", "--team", "serach", "--usd", "5", "--period", "day")
            self.assertEqual(code, 0)
            self.assertIn("serach has no key", err)
            h.run("keys", "create", "--team", "serach", "--name", "k")
            code, out, err = h.run("budgets", "set", "--team", "serach", "--usd", "6", "--period", "day")
            self.assertEqual((code, err), (0, ""))
            self.assertIn("team nobody has no keys", h.run("keys", "list", "--team", "nobody")[1])

    def test_a_table_of_costs_leaves_out_cache_columns_only_while_they_are_0_and_programs_get_all(self):
        fields = ["team", "requests", "attempts", "input", "cache_read", "cache_write", "output", "cost_nano", "cost_usd"]
        with House() as h:
            h.chat()
            wait_for(lambda: h.sql("select count(*) from attempts")[0][0] == 1, what="the row")
            self.assertEqual(h.run("costs", "--by", "team")[1].split("\n")[0].split(), ["team", "requests", "attempts", "input", "output", "cost_usd"])
            self.assertEqual(list(json.loads(h.run("costs", "--by", "team", "--format", "json")[1])[0]), fields)
            self.assertEqual(h.run("costs", "--by", "team", "--format", "csv")[1].split("\n")[0].strip().split(","), fields)
            h.mock.script("cheap", "in=10,out=5,cached=4")
            h.chat()
            wait_for(lambda: h.sql("select count(*) from attempts")[0][0] == 2, what="the row")
            self.assertIn("cache_read", h.run("costs", "--by", "team")[1])


class LedgerAlone(unittest.TestCase):
    def test_commands_of_the_ledger_need_none_of_the_gateways_secrets_and_files(self):
        with House(start=False) as h:
            for name in ("key.pem", "cert.pem", "policy.json", "prices.json"):
                os.remove(h.path(name))
            for argv in (["costs"], ["audit"], ["keys", "list"], ["budgets", "list"],
                         ["budgets", "set", "--team", "demo", "--usd", "1", "--period", "day"]):
                self.assertEqual(h.run(*argv)[2], "", argv)
            self.assertEqual(h.run("check", check=False)[0], 1)


class PolicyTest(unittest.TestCase):
    PATH = os.path.join(SOURCE, "policies/tests")

    def test_the_bundled_scenarios_pass_in_every_format(self):
        code, out, err = run("policy", "test", self.PATH)
        self.assertEqual((code, err), (0, ""))
        plan = int(re.search(r"^1\.\.(\d+)$", out, re.M).group(1))
        self.assertGreaterEqual(plan, 100)
        self.assertEqual(len(re.findall(r"^ok ", out, re.M)), plan)
        json.loads(run("policy", "test", self.PATH, "--format", "json")[1])
        xml.etree.ElementTree.fromstring(run("policy", "test", self.PATH, "--format", "junit")[1])

    def test_a_scenario_that_expects_something_else_is_exit_1_and_says_what_differs(self):
        with tempfile.TemporaryDirectory() as d:
            path = sorted(glob.glob(self.PATH + "/*.test.json"))[0]
            with open(path) as f:
                data = json.load(f)
            for name in ("policy", "prices"):
                if isinstance(data.get(name), str):
                    data[name] = os.path.abspath(os.path.join(os.path.dirname(path), data[name]))
            data["cases"] = [c for c in data["cases"] if "status" in c["expect"]][:1]
            data["cases"][0]["expect"]["status"] = 418
            with open(os.path.join(d, "wrong.test.json"), "w") as f:
                json.dump(data, f)
            code, out, err = run("policy", "test", d)
            self.assertEqual(code, 1)
            self.assertIn("not ok 1", out)
            self.assertIn("418", out)


class Audit(unittest.TestCase):
    def test_one_altered_nano_dollar_is_found_wherever_it_is(self):
        with House() as h:
            for i in range(5):
                h.chat("Hi", headers={"x-tollgate-tag": "a=b"})
            h.server.stop()
            self.assertEqual(h.run("audit")[0], 0)
            good = open_read(h.path("tollgate.db"))
            for change in ("update attempts set cost_nano = cost_nano + 1 where request_id = (select max(request_id) from attempts)",
                           "update attempts set output = output + 1 where request_id = (select min(request_id) from attempts)",
                           "update requests set cost_nano = cost_nano - 1 where id = (select min(id) from requests)",
                           "update requests set attempts = 2 where id = (select min(id) from requests)",
                           "update rollups set cost_nano = cost_nano + 1 where rowid = (select min(rowid) from rollups)",
                           "delete from attempts where request_id = (select min(request_id) from attempts)",
                           "update reservations set state = 'open' where request_id = (select min(request_id) from reservations)",
                           "update attempts set price_version = 'x@2020-01-01T00:00:00Z'"):
                with self.subTest(change):
                    db = sqlite3.connect(h.path("tollgate.db"))
                    try:
                        db.execute(change)
                    except sqlite3.OperationalError as e:
                        if "rowid" not in str(e):
                            raise
                        db.execute("update rollups set cost_nano = cost_nano + 1 where grain = 'hour' and dimension = 'team'")
                    db.commit()
                    self.assertEqual(db.total_changes > 0, True)
                    db.close()
                    code, out, err = h.run("audit", check=False)
                    self.assertEqual(code, 1, out + err)
                    self.assertTrue((out + err).strip())
                    for name in ("tollgate.db-wal", "tollgate.db-shm"):
                        if os.path.exists(h.path(name)):
                            os.unlink(h.path(name))
                    with open(h.path("tollgate.db"), "wb") as f:
                        f.write(good)
            self.assertEqual(h.run("audit")[0], 0)


class Metrics(Shared):
    options = {"workers": 2}

    def page(self):
        c = http.client.HTTPConnection("127.0.0.1", self.h.admin_port)
        c.request("GET", "/metrics")
        r = c.getresponse()
        self.assertTrue(r.headers["content-type"].startswith("text/plain; version=0.0.4"))
        text = r.read().decode()
        c.close()
        return text

    def test_the_page_is_what_prometheus_reads(self):
        self.h.chat()
        kinds, names = {}, []
        for line in self.page().rstrip("\n").split("\n"):
            if line.startswith("# "):
                m = re.match(r"# (HELP|TYPE) (tollgate_[a-z0-9_]+) (.+)$", line)
                self.assertTrue(m, line)
                if m[1] == "TYPE":
                    self.assertNotIn(m[2], kinds)
                    kinds[m[2]] = m[3]
            else:
                m = re.match(r'(tollgate_[a-z0-9_]+)(\{[a-z]+="[^"]*"\})? (-?[0-9.e+]+)$', line)
                self.assertTrue(m, line)
                base = re.sub("_(bucket|sum|count)$", "", m[1]) if m[1] not in kinds else m[1]
                self.assertIn(base, kinds, line)
                self.assertTrue(kinds[base] != "counter" or m[1].endswith("_total"), line)
                names.append(line.split(" ")[0])
        self.assertEqual(len(names), len(set(names)))

    def test_its_sums_agree_with_the_ledger_to_the_nano_dollar(self):
        for words in ("in=123,out=45,cached=23", "refuse", "status=500", "usage=none", "text=ok"):
            self.h.mock.script("cheap", words)
            self.h.chat()
            self.h.chat(stream=True)
        self.assert_settled()
        page = {line.split(" ")[0]: line.split(" ")[1] for line in self.page().split("\n") if line and line[0] != "#"}
        nano, attempts, i, c, o = self.h.sql("select sum(cost_nano), count(*), sum(input), sum(cache_read), sum(output) from attempts")[0]
        self.assertEqual(Decimal(page["tollgate_cost_usd_total"]), Decimal(nano) / 10 ** 9)
        self.assertEqual(int(page["tollgate_attempts_total"]), attempts)
        self.assertEqual([int(page['tollgate_tokens_total{kind="%s"}' % k]) for k in ("input", "cache_read", "output")], [i, c, o])
        rejected = self.h.sql("select count(*) from attempts where verdict like 'rejected:%'")[0][0]
        self.assertEqual(int(page["tollgate_attempts_rejected_total"]), rejected)
        requests = self.h.sql("select count(*) from requests")[0][0]
        self.assertEqual(int(page["tollgate_answers_total"]) + int(page["tollgate_failures_total"]), requests)
        self.assertEqual(int(page["tollgate_request_duration_seconds_count"]), requests)

    def test_a_page_of_another_name_cannot_read_it(self):
        for host in ("evil.example", "127.0.0.1.evil.example:8444", "localhost.evil.example", "[::2]"):
            c = http.client.HTTPConnection("127.0.0.1", self.h.admin_port)
            c.request("GET", "/metrics", headers={"Host": host})
            r = c.getresponse()
            self.assertEqual(r.status, 403, host)
            r.read()
            c.close()
        for host in ("127.0.0.1", "localhost:%d" % self.h.admin_port, "LOCALHOST", "[::1]:5", "127.1.2.3:80"):
            c = http.client.HTTPConnection("127.0.0.1", self.h.admin_port)
            c.request("GET", "/metrics", headers={"Host": host})
            r = c.getresponse()
            self.assertEqual(r.status, 200, host)
            r.read()
            c.close()


if __name__ == "__main__":
    unittest.main()
