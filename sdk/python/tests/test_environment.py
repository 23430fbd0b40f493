"""Variables that a flow reads when it is imported."""

import os

from weir_python import build, environment

from .case import Case, world

TOOL = "import os\nfrom promptflow.core import tool\n"


class Variables(Case):
    def setUp(self):
        super().setUp()
        before = dict(os.environ)

        def back():
            os.environ.__class__ = os._Environ
            os.environ.clear()
            os.environ.update(before)

        self.addCleanup(back)
        environment.install()
        os.environ.pop("OPENAI_API_KEY", None)

    def built(self, source, name="node.py"):
        """What the build tells of a failure, if there is one."""
        from weir_python.archive import ARCHIVE, FLOW

        ARCHIVE.add(f"{FLOW}/{name}", source.encode())
        world.variables["WEIR_ENTRY"] = name
        return build._load(name)

    def test_an_entry_that_reads_some_is_imported_again_by_a_run(self):
        source = (
            TOOL
            + "KEY, LEVEL = os.environ['SOME_KEY'], int(os.environ['LEVEL'])\n@tool\ndef f():\n    return [KEY, LEVEL]"
        )
        self.assertIsNone(self.built(source))
        self.assertTrue(build.State.loaded["node.py"].is_of_its_run)
        world.variables |= {"SOME_KEY": "k", "LEVEL": "3"}
        self.assertEqual(self.answer(), ["k", 3])
        # Once, where an instance is used again.
        self.assertFalse(build.State.loaded["node.py"].is_of_its_run)
        self.assertEqual(self.answer(), ["k", 3])

    def test_one_that_reads_none_is_not(self):
        self.assertIsNone(self.built(TOOL + "@tool\ndef f():\n    return os.getenv('X')"))
        self.assertFalse(build.State.loaded["node.py"].is_of_its_run)

    def test_a_client_may_be_made_and_a_check_passed(self):
        source = TOOL + (
            "from openai import OpenAI\nif 'OPENAI_API_KEY' not in os.environ:\n    raise Exception('no key')\n"
            "client = OpenAI()\nif not os.getenv('REGION'):\n    raise ValueError('REGION is not set')\n"
            "@tool\ndef f():\n    return [client.api_key, os.getenv('REGION')]"
        )
        self.assertIsNone(self.built(source))
        world.variables |= {"OPENAI_API_KEY": "k", "REGION": "r"}
        self.assertEqual(self.answer(), ["k", "r"])

    def test_a_run_that_lacks_one_fails_as_the_import_does(self):
        self.assertIsNone(self.built(TOOL + "X = os.environ['X']\n@tool\ndef f():\n    return X"))
        message = "Failed to load python module from file 'node.py': (KeyError) 'X'"
        self.assertEqual(self.failure(), ("user", "PythonLoadError", message))

    def test_what_cannot_be_imported_without_is_told_with_its_names(self):
        told = self.built(TOOL + "X = {'a': 1}[os.environ['MODE']]\n@tool\ndef f():\n    return X")
        self.assertEqual((told["type"], told["line"]), ("KeyError", 3))
        self.assertIn("it reads MODE when it is imported", told["hint"])

    def test_what_packages_read_is_not_the_flows(self):
        with environment.reading() as seen:
            self.assertIsNone(os.environ.get("TZ_OF_NOBODY"))
            with self.assertRaises(KeyError):
                os.environ["TZ_OF_NOBODY"]
        self.assertEqual(seen.variables, set())

    def test_modules_that_ask_for_the_time_or_for_chance_are_imported_by_each_run(self):
        for line, expected in (
            ("import datetime\nTODAY = datetime.date.today()", True),
            ("from datetime import datetime as dt\nNOW = dt.now()", True),
            ("import uuid\nclass C:\n    ID = uuid.uuid4()", True),
            ("from random import choice\nX = choice([1, 2])", True),
            ("import time\ndef g(now=time.time()):\n    pass", True),
            ("import random\nX = [random.random() for _ in range(2)]", True),
            ("import time\ndef g():\n    return time.time()", False),
            ("import uuid\nif __name__ == '__main__':\n    uuid.uuid4()", False),
            ("X = lambda: __import__('time').time()", False),
        ):
            self.setUp()
            self.assertIsNone(self.built(TOOL + line + "\n@tool\ndef f():\n    return 1"))
            self.assertEqual(build.State.loaded["node.py"].is_of_its_run, expected, line)
            self.assertEqual(self.answer(), 1)

    def test_what_only_a_run_has_is_refused_in_a_build_in_words(self):
        for line in (
            "from openai import OpenAI\nX = OpenAI().chat.completions.create(model='m', messages=[])",
            "from promptflow.connections import ConnectionProvider\nX = ConnectionProvider.get_instance().get('c')",
        ):
            self.setUp()
            told = self.built(TOOL + line + "\n@tool\ndef f():\n    return 1")
            self.assertEqual((told["type"], told["line"]), ("NotYet", 4))
            self.assertIn("ask for them inside a function", told["message"])

    def test_metrics_of_an_import_are_nobodys(self):
        self.assertIsNone(
            self.built(TOOL + "from promptflow import log_metric\nlog_metric('a', 1)\n@tool\ndef f(): pass")
        )
        self.assertEqual(world.metrics, {})
