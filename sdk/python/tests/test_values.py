"""How values cross: descriptions, inputs, outputs, images."""

import base64

from weir_python import build

from .case import Case, world

TOOL = "from promptflow.core import tool\n"
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n...").decode()


class Chunks(Case):
    """What another node in Python has streamed."""

    def test_a_stream_of_another_node_is_a_generator(self):
        for annotation in ("", ": Generator[str, None, None]", ": Iterable", ": str"):
            self.setUp()
            self.check(
                TOOL + f"from typing import *\n@tool\ndef f(words{annotation}):\n"
                "    return [type(words).__name__, next(words), list(words)]",
                {"words": {"x-weir-chunks": ["a", {"b": 1}, None]}},
                ["generator", "a", [{"b": 1}, None]],
            )

    def test_an_empty_one_is_one_too(self):
        self.check(TOOL + "@tool\ndef f(words):\n    return list(words)", {"words": {"x-weir-chunks": []}}, [])

    def test_where_an_asynchronous_one_is_taken_it_is_that(self):
        self.check(
            TOOL + "from typing import AsyncGenerator\n@tool\nasync def f(words: AsyncGenerator[str, None]):\n"
            "    return [word async for word in words]",
            {"words": {"x-weir-chunks": ["a", "b"]}},
            ["a", "b"],
        )

    def test_an_object_of_other_members_stays_one(self):
        given = {"x-weir-chunks": ["a"], "more": 1}
        self.check(TOOL + "@tool\ndef f(words):\n    return words", {"words": given}, given)


class Schemas(Case):
    def property(self, annotation, default=""):
        self.setUp()
        source = (
            TOOL
            + "import enum, typing, dataclasses\nfrom typing import *\nfrom promptflow.connections import *\n"
            + "from promptflow.contracts.types import *\nfrom promptflow.contracts.multimedia import Image\n"
            + "class Color(str, enum.Enum):\n    RED = 'red'\n    BLUE = 'blue'\n"
            + f"@tool\ndef f(a{annotation}{default}):\n    return 1"
        )
        self.load(source)
        return build.State.descriptions["node.py"]["inputs"]["properties"]["a"]

    def test_types_are_those_of_prompt_flow(self):
        for annotation, json_type, flow_type in (
            (": int", "integer", "int"),
            (": float", "number", "double"),
            (": bool", "boolean", "bool"),
            (": str", "string", "string"),
            (": list", "array", "list"),
            (": dict", "object", "object"),
            (": List[str]", "array", "object"),
            (": Dict[str, int]", "object", "object"),
            (": Secret", "string", "secret"),
            (": FilePath", "string", "file_path"),
            (": 'int'", "integer", "int"),
        ):
            self.assertEqual(self.property(annotation), {"type": json_type, "x-promptflow-type": flow_type}, annotation)
        self.assertEqual(self.property(": Optional[int]")["type"], ["integer", "null"])
        self.assertEqual(self.property(": int | None", " = None")["type"], ["integer", "null"])
        self.assertEqual(self.property(""), {"x-promptflow-type": "object"})
        self.assertEqual(self.property("", " = 3"), {"type": "integer", "x-promptflow-type": "int", "default": 3})
        self.assertEqual(self.property(": Image"), {"x-promptflow-type": "image"})
        self.assertEqual(
            self.property(": Color", " = Color.RED"),
            {"type": "string", "enum": ["red", "blue"], "x-promptflow-type": "string", "default": "red"},
        )

    def test_connections_are_named_by_their_classes(self):
        schema = self.property(": Union[AzureOpenAIConnection, OpenAIConnection]")
        self.assertEqual(schema["x-weir-connection"], ["AzureOpenAIConnection", "OpenAIConnection"])
        self.assertEqual(self.property(": CustomConnection")["x-weir-connection"], ["CustomConnection"])

    def test_what_may_stream_says_so(self):
        for source, streams in (
            ("def f():\n    yield 1", True),
            ("def f() -> str:\n    return ''", False),
            ("def f(client):\n    return client.create(stream=True)", True),
            ("def f(p):\n    return p({'stream': True})", True),
            ("def f():\n    return 1", False),
            ("def f():\n    def g():\n        yield 1\n    return g()", True),
        ):
            self.setUp()
            self.load(TOOL + "@tool\n" + source)
            self.assertEqual(build.State.descriptions["node.py"]["streams"], streams, source)

    def test_a_prompty_that_streams_makes_its_functions_stream(self):
        from weir_python import archive

        source = TOOL + "from promptflow.core import Prompty\n@tool\ndef f() -> str:\n    return Prompty.load('a')()"
        for text, streams in (("parameters:\n  stream: true\n", True), ("parameters: {}", False)):
            self.setUp()
            archive.ARCHIVE.add("/flow/a.prompty", text.encode())
            self.load(source)
            self.assertEqual(build.State.descriptions["node.py"]["streams"], streams)


class Crossing(Case):
    def test_what_lost_its_class_gets_it_back(self):
        self.check(
            TOOL
            + """
import dataclasses, datetime
@dataclasses.dataclass
class Item:
    name: str
    when: datetime.datetime
@tool
def f(item: Item, items: list[Item], when: datetime.date, pair: tuple, plain: dict):
    return [item.when.year, [i.name for i in items], when.day, type(pair).__name__, type(plain).__name__]
""",
            {
                "item": {"name": "a", "when": "2024-05-01T00:00:00"},
                "items": [{"name": "b", "when": "2024-05-01T00:00:00"}],
                "when": "2024-05-02",
                "pair": [1, 2],
                "plain": {"name": "a"},
            },
            [2024, ["b"], 2, "tuple", "dict"],
        )

    def test_annotations_convert_nothing_else(self):
        self.check(TOOL + "@tool\ndef f(a: int, b: str):\n    return [a, b]", {"a": "7", "b": 3}, ["7", 3])

    def test_outputs(self):
        self.check(
            TOOL
            + """
import dataclasses, datetime, decimal, enum, pathlib
@dataclasses.dataclass
class D:
    x: int
class E(enum.Enum):
    A = "a"
class Plain:
    def __init__(self):
        self.y, self._hidden = 2, 3
class Text(str):
    pass
@tool
def f():
    return {"d": D(1), "e": E.A, "t": (1, 2), "s": {3}, "when": datetime.date(2024, 1, 2), "p": pathlib.Path("a/b"),
            "n": float("nan"), "i": float("inf"), "c": decimal.Decimal("1.50"), "plain": Plain(), 1: True, None: "k",
            "text": Text("t"), "umlaut": "ä"}
""",
            {},
            {
                "d": {"x": 1}, "e": "a", "t": [1, 2], "s": [3], "when": "2024-01-02", "p": "a/b", "n": None, "i": None,
                "c": "1.50", "plain": {"y": 2}, "1": True, "null": "k", "text": "t", "umlaut": "ä",
            },
        )  # fmt: skip


class Images(Case):
    SOURCE = (
        TOOL
        + "from promptflow.contracts.multimedia import Image\n@tool\n"
        + "def f(a: Image, b: list = None):\n    return [str(a), a._mime_type, a, b]"
    )

    def test_of_the_basic_format(self):
        self.load(self.SOURCE)
        image = {"data:image/png;base64": PNG}
        self.assertEqual(
            self.answer(a=image, b=[{"x": image}]), ["Image(b4c36d07)", "image/png", image, [{"x": image}]]
        )

    def test_given_as_text(self):
        self.load(self.SOURCE)
        self.assertEqual(self.answer(a=PNG)[1:3], ["image/png", {"data:image/png;base64": PNG}])

    def test_of_openais_format(self):
        self.load(self.SOURCE)
        build.State.message_format = "openai-vision"
        image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
        self.assertEqual(self.answer(a=image)[2], image)

    def test_what_is_none(self):
        self.load(self.SOURCE)
        expected = (
            "user",
            "LoadMultimediaDataError",
            "Failed to load image for input 'a': (InvalidImageInput) The image input should not be empty.",
        )
        self.assertEqual(self.failure(a=""), expected)

    def test_an_address_is_kept_where_it_may_not_be_fetched(self):
        self.load(self.SOURCE)
        image = {"data:image/png;url": "https://x.test/a.png"}
        self.assertEqual(self.answer(a=image)[2], image)

    def test_an_address_is_fetched(self):
        self.load(self.SOURCE)
        world.web = lambda method, url, headers, body: (200, [], base64.b64decode(PNG))
        self.assertEqual(
            self.answer(a={"data:image/png;url": "https://x.test/a.png"})[2], {"data:image/png;base64": PNG}
        )
