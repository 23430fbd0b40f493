"""`@trace`: which spans there are, below which, and what they say."""

import json

from weir_python import build
from wit_world import world

from .case import Case

IMPORTS = """
import asyncio
from promptflow.core import tool
from promptflow.tracing import trace, start_trace
from openai import AsyncOpenAI, OpenAI
start_trace()
def ask(text):
    return OpenAI().chat.completions.create(model="m", messages=[{"role": "user", "content": text}])
"""

ANSWER = {
    "id": "1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}],
}


class Tracing(Case):
    def setUp(self):
        super().setUp()
        world.variables["WEIR_LLM_CONNECTIONS"] = "c"
        world.chat = lambda request: ANSWER

    def told(self):
        """Each span: its name, what it is below, what it was given and how it ended."""
        return [
            (span.name, span.above and span.above.name, json.loads(span.inputs), ending(span)) for span in world.spans
        ]

    def run_of(self, source, **inputs):
        self.load(IMPORTS + source)
        return self.answer(**inputs)

    def test_calls_are_spans_below_each_other_and_calls_of_models_below_them(self):
        answer = self.run_of(
            """
@trace
def inner(x, *, y=1):
    ask("in inner")
    return deeper(x, z=y)
@trace(name="below")
def deeper(x, z):
    return {"x": x, "z": z}
@tool
def f():
    ask("before")
    result = inner(2, y=3)
    ask("after")
    return result
"""
        )
        self.assertEqual(answer, {"x": 2, "z": 3})
        self.assertEqual(
            self.told(),
            [
                ("inner", None, {"x": 2, "y": 3}, {"x": 2, "z": 3}),
                ("below", "inner", {"x": 2, "z": 3}, {"x": 2, "z": 3}),
            ],
        )
        self.assertEqual(world.called_in, [None, "inner", None])
        self.assertTrue(all(span.dropped for span in world.spans))

    def test_the_nodes_own_function_is_the_nodes_span_once(self):
        self.run_of(
            """
@tool
def count(n: int):
    return 0 if n == 0 else 1 + count(n - 1)
""",
            n=2,
        )
        self.assertEqual(self.told(), [("count", None, {"n": 1}, 1), ("count", "count", {"n": 0}, 0)])

    def test_an_entry_that_is_not_traced_leaves_its_functions_their_spans(self):
        self.load_flex(
            IMPORTS
            + """
class Flow:
    def __call__(self, q: str):
        return self.look(q)
    @trace
    def look(self, q):
        return q.upper()
""",
            "flow_of_classes:Flow",
        )
        self.assertEqual(self.answer(q="a"), "A")
        self.assertEqual(self.told(), [("Flow.look", None, {"q": "a"}, "A")])

    def test_errors_are_told_on_each_span_that_they_pass(self):
        self.load(
            IMPORTS
            + """
@trace
def inner():
    raise ValueError("no such thing")
@trace
def outer():
    try:
        inner()
    except ValueError:
        raise KeyError("gone")
@tool
def f():
    outer()
"""
        )
        self.failure()
        self.assertEqual(
            self.told(),
            [("outer", None, {}, ("KeyError", "'gone'")), ("inner", "outer", {}, ("ValueError", "no such thing"))],
        )

    def test_tasks_that_run_by_turns_keep_their_own_spans(self):
        answer = self.run_of(
            """
@trace
async def one(name):
    await asyncio.sleep(0)
    messages = [{"role": "user", "content": name}]
    await AsyncOpenAI().chat.completions.create(model="m", messages=messages)
    await asyncio.sleep(0)
    return await two(name)
@trace
async def two(name):
    await asyncio.sleep(0)
    return name
@tool
async def f():
    return await asyncio.gather(one("a"), one("b"))
"""
        )
        self.assertEqual(answer, ["a", "b"])
        self.assertEqual(
            sorted(self.told(), key=str),
            sorted(
                [
                    ("one", None, {"name": "a"}, "a"),
                    ("one", None, {"name": "b"}, "b"),
                    ("two", "one", {"name": "a"}, "a"),
                    ("two", "one", {"name": "b"}, "b"),
                ],
                key=str,
            ),
        )
        above = {json.loads(span.inputs)["name"]: span.above.inputs for span in world.spans if span.above}
        self.assertEqual(above, {"a": '{"name": "a"}', "b": '{"name": "b"}'})
        self.assertEqual(world.called_in, ["one", "one"])

    def test_a_generator_ends_with_its_last_piece_and_works_within_its_span(self):
        answer = self.run_of(
            """
@trace
def numbers():
    for n in range(2):
        ask("in numbers")
        yield n
@trace
def letters():
    yield "a"
@tool
def f():
    first, given = numbers(), []
    for n in first:
        given += [n, *letters()]
        ask("between")
    return given
"""
        )
        self.assertEqual(answer, [0, "a", 1, "a"])
        self.assertEqual(
            self.told(),
            [
                ("numbers", None, {}, ["iterated", [0, 1]]),
                ("letters", None, {}, ["iterated", ["a"]]),
                ("letters", None, {}, ["iterated", ["a"]]),
            ],
        )
        self.assertEqual(world.called_in, ["numbers", None, "numbers", None])

    def test_a_generator_that_fails_or_is_left_ends_so(self):
        self.run_of(
            """
@trace
def fails():
    yield 1
    raise ValueError("x")
@trace
def many():
    got = yield 1
    while True:
        got = yield got
@tool
def f():
    try:
        list(fails())
    except ValueError:
        pass
    stream = many()
    given = [next(stream), stream.send("sent")]
    stream.close()
    return given
"""
        )
        self.assertEqual(
            self.told(),
            [("fails", None, {}, ("ValueError", "x")), ("many", None, {}, ["iterated", [1, "sent"]])],
        )

    def test_async_generators_too(self):
        answer = self.run_of(
            """
@trace
async def numbers():
    for n in range(3):
        await asyncio.sleep(0)
        ask("in numbers")
        yield n
@tool
async def f():
    return [n async for n in numbers()]
"""
        )
        self.assertEqual(answer, [0, 1, 2])
        self.assertEqual(self.told(), [("numbers", None, {}, ["iterated", [0, 1, 2]])])
        self.assertEqual(world.called_in, ["numbers"] * 3)

    def test_methods_objects_and_kinds(self):
        self.run_of(
            """
import functools
from promptflow.tracing._trace import _traced
from promptflow.tracing.contracts.trace import TraceType
class Store:
    @trace
    def look(self, key):
        return key
    @staticmethod
    @trace
    def static(key):
        return key
class Calls:
    def __call__(self, a):
        return a
embed = _traced(lambda text, api_key: [1.0], trace_type=TraceType.EMBEDDING, args_to_ignore=["api_key"], name="e")
@tool
def f():
    Store().look("k")
    Store.static("k")
    _traced(Calls())(1)
    _traced(functools.partial(Store().look, "p"), trace_type=TraceType.RETRIEVAL)()
    embed("t", api_key="secret")
"""
        )
        self.assertEqual(
            [(span.name, span.kind.name, json.loads(span.inputs)) for span in world.spans],
            [
                ("Store.look", "FUNCTION", {"key": "k"}),
                ("Store.static", "FUNCTION", {"key": "k"}),
                ("Calls", "FUNCTION", {"a": 1}),
                ("Store.look", "RETRIEVAL", {}),
                ("Store.look", "FUNCTION", {"key": "p"}),
                ("e", "EMBEDDING", {"text": "t"}),
            ],
        )

    def test_values_that_are_no_json_are_told_and_not_consumed(self):
        answer = self.run_of(
            """
import dataclasses, datetime
from promptflow.connections import OpenAIConnection
class Odd:
    def __str__(self):
        return "odd"
class Worse:
    def __str__(self):
        raise ValueError
@dataclasses.dataclass
class Data:
    a: int
@trace
def given(**kwargs):
    return list(kwargs["stream"])
@tool
def f():
    circle = []
    circle.append(circle)
    return given(
        odd=Odd(), worse=Worse(), data=Data(1), day=datetime.date(2026, 1, 2), stream=iter("ab"), nan=float("nan"),
        long="x" * 100_000, numbers=range(3), circle=circle,
    )
"""
        )
        self.assertEqual(answer, ["a", "b"])
        inputs = json.loads(world.spans[0].inputs)
        self.assertEqual(
            (inputs["odd"], inputs["data"], inputs["day"], inputs["nan"]), ("odd", {"a": 1}, "2026-01-02", None)
        )
        self.assertLess(len(world.spans[0].inputs), 200_000)
        self.assertEqual(ending(world.spans[0]), ["a", "b"])

    def test_beyond_the_bound_functions_run_on_without_spans(self):
        world.most_spans = 2
        answer = self.run_of(
            """
@trace
def one(n):
    ask("in one")
    return n
@tool
def f():
    return [one(n) for n in range(4)]
"""
        )
        self.assertEqual(answer, [0, 1, 2, 3])
        self.assertEqual(len(world.spans), 2)
        self.assertEqual(world.called_in, ["one", "one", None, None])

    def test_a_streams_answer_is_handed_on_by_the_host_below_the_span_that_asked(self):
        world.deltas = [{"content": "a"}, {"content": "b"}]
        self.load(
            IMPORTS
            + """
@trace
def answer():
    return OpenAI().chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}], stream=True)
@tool
def f():
    return "".join(chunk.choices[0].delta.content or "" for chunk in answer() if chunk.choices)
"""
        )
        self.assertEqual(self.answer(), "ab")
        self.assertEqual(world.called_in, ["answer"])
        self.assertEqual(len(self.told()), 1)

    def test_runs_of_one_instance_do_not_share_spans(self):
        source = """
@trace
def left():
    yield 1
    yield 2
@tool
def f():
    stream = left()
    next(stream)
    KEPT.append(stream)
    return ask("x").choices[0].message.content
KEPT = []
"""
        self.assertEqual(self.run_of(source), "hi")
        self.assertEqual(self.answer(), "hi")
        self.assertEqual(world.called_in, [None, None])
        self.assertEqual([span.above for span in world.spans], [None, None])
        # What the first run has left is not the second's to end.
        kept = build.State.loaded["node.py"].original.__globals__["KEPT"]
        kept[0].close()
        self.assertIsNone(world.spans[0].ended)
        kept[1].close()
        self.assertEqual(ending(world.spans[1]), ["iterated", [1]])
        kept.clear()


def ending(span):
    """How a span ended: its output, `["iterated", output]`, or an error's class and message."""
    kind = type(span.ended).__name__
    if kind == "SpanEnd_Error":
        return (span.ended.value.kind, span.ended.value.message)
    if span.ended is None:
        return None
    output = json.loads(span.ended.value)
    return ["iterated", output] if kind == "SpanEnd_Iterated" else output
