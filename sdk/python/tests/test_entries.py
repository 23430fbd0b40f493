"""What an entry means, and what is said of one that means nothing."""

from weir_python import build, entries
from weir_python.entries import EntryError

from .case import Case, world

TOOL = "from promptflow.core import tool\n"


class Tools(Case):
    def fails(self, source, code, message, name="node.py"):
        with self.assertRaises(EntryError) as raised:
            self.load(source, name)
        self.assertEqual((raised.exception.code, str(raised.exception)), (code, message))

    def test_a_file_without_a_tool(self):
        self.fails(
            "def f(): pass",
            "NoToolDefined",
            "No tool found in the python script. "
            "Please make sure you have one and only one tool definition in your script.",
        )

    def test_a_file_with_two(self):
        self.fails(
            TOOL + "@tool\ndef a(): pass\n@tool\ndef b(): pass",
            "MultipleToolsDefined",
            "Expected 1 but collected 2 tools: a, b. "
            "Please make sure you have one and only one tool definition in your script.",
        )

    def test_a_name_that_is_no_tool(self):
        self.fails(
            TOOL + "@tool\ndef a(): pass",
            "NoToolDefined",
            "No tool 'b' found in the python script 'node.py'.",
            "node.py:b",
        )

    def test_a_tool_that_is_imported_is_not_of_the_file(self):
        self.load("from promptflow.core import tool\n@tool\ndef a():\n    return 'a'", "a.py")
        source = TOOL + "import sys\na = sys.modules['__pf_main__a'].a\n@tool\ndef b():\n    return a()"
        self.load(source, "b.py")
        self.assertEqual(self.answer(), "a")

    def test_a_file_may_have_the_name_of_a_module(self):
        self.load(TOOL + "import json\n@tool\ndef f():\n    return json.dumps([1])", "json.py")
        self.assertEqual(self.answer(), "[1]")


class Flex(Case):
    def test_a_function(self):
        self.load_flex("def f(a, n=1):\n    return [a, n]", "flow_a:f")
        self.assertEqual(self.answer(a="x", unknown=1), ["x", 1])

    def test_a_class_is_made_with_what_the_flow_was_initialised_with(self):
        self.load_flex(
            """
made = []
class Chat:
    def __init__(self, model: str, n: int = 1):
        made.append(1)
        self.model, self.n = model, n
    def __call__(self, q: str):
        return [self.model, self.n, q, len(made)]
    def __aggregate__(self, line_results: list):
        return {"lines": len(line_results), "note": "text"}
""",
            "flow_b:Chat",
        )
        world.init = '{"model": "m", "n": 2}'
        self.assertEqual(self.answer(q="x"), ["m", 2, "x", 1])
        # Where an instance of the component is used again, so is that of the class.
        self.assertEqual(self.answer(q="y"), ["m", 2, "y", 1])

    def test_its_aggregation_tells_metrics(self):
        self.load_flex(
            "class C:\n    def __call__(self): pass\n    def __aggregate__(self, rows):\n        return {'n': len(rows)}",
            "flow_c:C#aggregate",
        )
        self.assertEqual(self.answer(rows=[1, 2]), {"n": 2})
        self.assertEqual(world.metrics, {"n": 2.0})

    def test_its_aggregation_sees_members_of_results_as_attributes(self):
        self.load_flex(
            "class C:\n    def __call__(self): pass\n    async def __aggregate__(self, rows: list):\n"
            "        return [rows[0].a, rows[0]['a'], rows[0].b['c'], getattr(rows[0], 'd', None), rows[1:]]",
            "flow_g:C#aggregate",
        )
        self.assertEqual(self.answer(rows=[{"a": 1, "b": {"c": 2}}, "text", [3]]), [1, 1, 2, None, ["text", [3]]])

    def test_a_class_that_has_an_aggregation_makes_an_entry_more(self):
        self.load_flex(
            "class C:\n    def __call__(self): pass\n    def __aggregate__(self, rows): pass\n"
            "class D:\n    def __call__(self): pass\ndef f(): pass",
            "flow_i:C",
        )
        for name in ("flow_i:D", "flow_i:f"):
            build.State.loaded[name] = entries.load(name)
        names = ["flow_i:C", "flow_i:D", "flow_i:f", "flow_i:gone"]
        self.assertEqual(list(build._all(names)), ["flow_i:C", "flow_i:C#aggregate", *names[1:]])
        self.assertEqual(list(build._all(["flow_i:C", "flow_i:C#aggregate"])), ["flow_i:C", "flow_i:C#aggregate"])

    def test_an_aggregation_takes_one_list(self):
        with self.assertRaises(EntryError) as raised:
            self.load_flex(
                "class C:\n    def __call__(self): pass\n    def __aggregate__(self, a, b): pass", "flow_h:C#aggregate"
            )
        self.assertEqual(raised.exception.code, "InvalidAggregationFunction")
        self.assertEqual(str(raised.exception), "The __aggregate__ method should have only one parameter.")

    def test_a_failure_names_the_function(self):
        self.load_flex("def f():\n    raise KeyError('kk')", "flow_d:f")
        self.assertEqual(self.failure(), ("user", "ScriptExecutionError", "Execution failure in 'f': (KeyError) 'kk'"))

    def test_an_init_that_fails_says_so(self):
        self.load_flex("class C:\n    def __init__(self, a): pass\n    def __call__(self): pass", "flow_e:C")
        blame, code, message = self.failure()
        self.assertEqual((blame, code), ("user", "FlowEntryInitializationError"))
        self.assertTrue(message.startswith("Failed to initialize flow entry with '{}', ex: "), message)

    def test_what_is_no_function(self):
        with self.assertRaises(EntryError) as raised:
            self.load_flex("f = 1", "flow_f:f")
        self.assertEqual(str(raised.exception), "Failed to load python function 'f' from file 'flow_f', got 1.")
