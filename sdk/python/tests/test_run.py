"""Runs of tools: values, streams, failures, and what a run is told."""

import contextlib
import io
import os
import random

from weir_python import loop, run

from .case import Case, world

TOOL = "from promptflow.core import tool\n"


class Values(Case):
    def test_a_tool_is_called_with_its_inputs(self):
        self.check(TOOL + "@tool\ndef f(a: int, b: str = 'x'):\n    return [a, b]", {"a": 1}, [1, "x"])

    def test_a_tool_may_be_imported_from_the_old_place(self):
        self.check("from promptflow import tool\n@tool()\ndef f():\n    return 1", {}, 1)

    def test_a_method_of_a_tool_provider_is_made_with_the_inputs_of_its_class(self):
        self.check(
            TOOL
            + """
from promptflow.core import ToolProvider
class Greeter(ToolProvider):
    def __init__(self, greeting: str):
        super().__init__()
        self.greeting = greeting
    @tool
    def greet(self, name: str):
        return f"{self.greeting} {name}"
""",
            {"greeting": "hi", "name": "ann"},
            "hi ann",
        )

    def test_an_async_tool_is_awaited(self):
        source = TOOL + "import asyncio\n@tool\nasync def f(a):\n    await asyncio.sleep(0)\n    return a"
        self.check(source, {"a": 1}, 1)

    def test_keyword_arguments_take_what_is_not_named(self):
        self.check(TOOL + "@tool\ndef f(**kwargs):\n    return kwargs", {"a": 1}, {"a": 1})

    def test_a_named_function_of_several(self):
        source = TOOL + "@tool\ndef a():\n    return 'a'\n@tool\ndef b():\n    return 'b'"
        self.load(source, "two.py:b")
        self.assertEqual(self.answer(), "b")

    def test_the_environment_of_the_run_is_seen_but_for_the_entry(self):
        self.load(TOOL + "import os\n@tool\ndef f():\n    return dict(os.environ)")
        world.variables["GREETING"] = "hello"
        before = dict(os.environ)
        self.addCleanup(lambda: os.environ.update(before))
        self.assertEqual(self.answer(), {"GREETING": "hello"})

    def test_chance_differs_from_run_to_run(self):
        self.load(TOOL + "import random\n@tool\ndef f():\n    return random.random()")
        random.seed(1)
        first = self.answer()
        random.seed(1)
        self.assertNotEqual(first, self.answer())


class Streams(Case):
    def test_each_thing_that_a_generator_yields_is_a_chunk(self):
        self.check(TOOL + "@tool\ndef f():\n    yield 'a'\n    yield {'b': 1}", {}, ["a", {"b": 1}])

    def test_an_async_generator_streams_too(self):
        self.check(TOOL + "@tool\nasync def f():\n    for i in range(3):\n        yield i", {}, [0, 1, 2])

    def test_a_generator_that_is_returned_streams(self):
        self.check(TOOL + "@tool\ndef f():\n    return (i for i in 'ab')", {}, ["a", "b"])

    def test_a_generator_inside_an_object_is_joined(self):
        self.check(TOOL + "@tool\ndef f():\n    return {'answer': (i for i in 'ab')}", {}, {"answer": "ab"})

    def test_a_node_stops_when_nobody_reads(self):
        self.load(TOOL + "@tool\ndef f():\n    while True:\n        yield 1")
        world.closes_after = 3
        self.assertEqual(self.answer(), [1, 1, 1])

    def test_a_failure_while_streaming_is_the_systems_in_its_own_words(self):
        self.load(TOOL + "@tool\ndef f():\n    yield 1\n    raise KeyError('gone')")
        self.assertEqual(self.failure(), ("system", "KeyError", "'gone'"))


class Failures(Case):
    def test_an_exception_is_the_users_with_the_name_of_the_node(self):
        self.load(TOOL + "@tool\ndef f():\n    raise ValueError('boom happened')")
        expected = ("user", "ToolExecutionError", "Execution failure in 'n': (ValueError) boom happened")
        self.assertEqual(self.failure(), expected)

    def test_an_unknown_input_is_one_too(self):
        self.load(TOOL + "@tool\ndef my_python_tool(a):\n    return a")
        message = "Execution failure in 'n': (TypeError) my_python_tool() got an unexpected keyword argument 'text'"
        self.assertEqual(self.failure(a=1, text="x"), ("user", "ToolExecutionError", message))

    def test_an_exception_of_prompt_flow_keeps_its_message_and_blame(self):
        for kind, blame in (("UserErrorException", "user"), ("SystemErrorException", "system")):
            self.load(
                TOOL + f"from promptflow.exceptions import {kind}\nclass Mine({kind}):\n    pass\n"
                "@tool\ndef f():\n    raise Mine('told')",
                f"{kind}.py",
            )
            self.assertEqual(self.failure(), (blame, "Mine", "told"))

    def test_what_json_cannot_hold_is_told_in_prompt_flows_words(self):
        self.load(TOOL + "@tool\ndef f():\n    return object()")
        blame, code, message = self.failure()
        self.assertEqual((blame, code), ("user", "FlowOutputUnserializable"))
        self.assertIn("JSON dump failed: (TypeError) Object of type object is not JSON serializable", message)

    def test_the_traceback_has_the_nodes_lines_and_none_of_ours(self):
        self.load(TOOL + "@tool\ndef f():\n    return 1 / 0")
        with contextlib.redirect_stderr(io.StringIO()) as told:
            self.failure()
        self.assertIn('File "/flow/node.py", line 4, in f', told.getvalue())
        self.assertNotIn("weir_python", told.getvalue())

    def test_sys_exit_is_a_failure(self):
        self.load(TOOL + "import sys\n@tool\ndef f():\n    sys.exit(3)")
        self.assertEqual(self.failure()[2], "Execution failure in 'n': (SystemExit) 3")

    def test_an_entry_that_was_not_built_is_named(self):
        self.load(TOOL + "@tool\ndef f():\n    return 1")
        world.variables["WEIR_ENTRY"] = "other.py"
        self.assertEqual(self.failure()[:2], ("system", "PythonLoadError"))


class Instances(Case):
    """An instance that is used again, as a flow may say."""

    def test_a_run_has_a_loop_of_its_own_and_the_modules_of_the_last(self):
        self.load(
            TOOL
            + """
import asyncio
left = []
async def late():
    for _ in range(5):
        await asyncio.sleep(0)
    left.append('late')
@tool
async def f(a: int):
    for _ in range(20):
        await asyncio.sleep(0)
    asyncio.ensure_future(late())
    left.append(a)
    return list(left)
"""
        )
        with contextlib.redirect_stderr(io.StringIO()) as told:
            self.assertEqual(self.answer(a=1), [1])
            self.assertEqual(self.answer(a=2), [1, 2])
            loop.renew()
        self.assertEqual(told.getvalue(), "")

    def test_a_run_has_the_variables_of_its_own(self):
        self.load(TOOL + "import os\n@tool\ndef f():\n    os.environ['B'] = '1'\n    return os.environ.get('A')")
        world.variables["A"] = "one"
        self.assertEqual(self.answer(), "one")
        self.assertEqual(os.environ["B"], "1")
        world.variables["A"] = "two"
        self.assertEqual(self.answer(), "two")
        self.load(TOOL + "import os\n@tool\ndef f():\n    return os.environ.get('B')", "other.py")
        self.assertEqual(self.answer(), None)


class Descriptions(Case):
    def test_all_entries_are_described_where_none_is_named(self):
        import json

        self.load(TOOL + "@tool\ndef f(a: int):\n    return 1")
        named = json.loads(run.describe())
        del world.variables["WEIR_ENTRY"]
        self.assertEqual(json.loads(run.describe()), {"entries": {"node.py": named}})
        self.assertEqual(named["inputs"]["required"], ["a"])


class Notes(Case):
    def test_metrics_are_told(self):
        self.check(TOOL + "from promptflow.core import log_metric\n@tool\ndef f():\n    log_metric('m', 1)", {}, None)
        self.assertEqual(world.metrics, {"m": 1.0})

    def test_a_metric_of_a_variant_has_the_name_that_prompt_flow_gives_it(self):
        self.check(
            TOOL
            + "from promptflow.core import log_metric\n@tool\ndef f():\n    log_metric('m', 1, variant_id='variant_0')",
            {},
            None,
        )
        self.assertEqual(world.metrics, {"m": 1.0})

    def test_a_metric_that_is_no_number_is_noted(self):
        self.check(
            TOOL + "from promptflow.core import log_metric\n@tool\ndef f():\n    log_metric('m', {'a': 1})", {}, None
        )
        self.assertEqual((world.metrics, world.events), ({}, [("metric", {"m": "{'a': 1}"})]))
