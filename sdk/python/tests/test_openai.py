"""The `openai` module: calls, objects, streams, exceptions."""

import asyncio
import json

import openai
from openai import AsyncOpenAI, AzureOpenAI, OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionMessageParam

from .case import Case, chat_answer, refused, world

KEY = "weir-connection:c"


class Chat(Case):
    def setUp(self):
        super().setUp()
        self.client = OpenAI(api_key=KEY)
        world.chat = lambda request: chat_answer()

    def ask(self, **given):
        return self.client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}], **given)

    def test_an_answer_has_its_fields_and_what_is_not_said_is_none(self):
        answer = self.ask(temperature=0, stop=None, extra_headers={"a": "b"}, extra_body={"x": 1})
        self.assertIsInstance(answer, ChatCompletion)
        self.assertEqual(answer.choices[0].message.content, "hello")
        self.assertEqual((answer.choices[0].message.tool_calls, answer.usage.total_tokens), (None, 3))
        request = world.requests[0]
        self.assertEqual((request.connection, request.model), ("c", "m"))
        self.assertEqual(json.loads(request.parameters), {"temperature": 0, "x": 1})
        self.assertEqual(answer.to_dict(), chat_answer())
        self.assertEqual(
            answer.choices[0].message.model_dump(),
            {
                "content": "hello", "refusal": None, "role": "assistant", "annotations": None, "audio": None,
                "function_call": None, "tool_calls": None,
            },
        )  # fmt: skip
        self.assertEqual(json.loads(answer.model_dump_json(exclude_unset=True)), chat_answer())
        with self.assertRaises(TypeError):
            answer["choices"]

    def test_a_message_with_calls_of_tools_goes_back_as_it_came(self):
        call = {"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        world.chat = lambda request: chat_answer(None, tool_calls=[call])
        message = self.ask(tools=[{"type": "function"}]).choices[0].message
        self.assertEqual(message.tool_calls[0].function.name, "f")
        self.client.chat.completions.create(model="m", messages=[message])
        self.assertEqual(json.loads(world.requests[-1].messages), [{"role": "assistant", "tool_calls": [call]}])

    def test_an_answer_is_parsed_as_a_model(self):
        class Model:
            @classmethod
            def model_json_schema(cls):
                return {"type": "object"}

            @classmethod
            def model_validate_json(cls, text):
                return json.loads(text)

        world.chat = lambda request: chat_answer('{"a": 1}')
        for completions in (self.client.chat.completions, self.client.beta.chat.completions):
            answer = completions.parse(model="m", messages=[], response_format=Model)
            self.assertEqual(answer.choices[0].message.parsed, {"a": 1})
        form = {"name": "Model", "schema": {"type": "object"}, "strict": True}
        expected = {"response_format": {"type": "json_schema", "json_schema": form}}
        self.assertEqual(json.loads(world.requests[0].parameters), expected)

    def test_a_stream_gives_chunks(self):
        world.deltas = [{"role": "assistant", "content": ""}, {"content": "a"}, {"content": "b"}]
        chunks = list(self.ask(stream=True, stream_options={"include_usage": True}))
        self.assertEqual([chunk.choices[0].delta.content for chunk in chunks[:-1]], ["", "a", "b"])
        self.assertEqual((chunks[-1].choices, chunks[-1].usage.total_tokens), ([], 3))
        with self.ask(stream=True) as stream:
            next(stream)
        self.assertEqual(world.cancelled, 1)

    def test_the_async_client_is_awaited(self):
        world.deltas = [{"content": "a"}, {"content": "b"}]

        async def ask():
            client = AsyncOpenAI(api_key=KEY)
            answer = await client.chat.completions.create(model="m", messages=[])
            stream = await client.chat.completions.create(model="m", messages=[], stream=True)
            return answer.choices[0].message.content, [chunk.choices[0].delta.content async for chunk in stream]

        self.assertEqual(asyncio.run(ask()), ("hello", ["a", "b"]))

    def test_raw_responses_are_parsed(self):
        raw = self.client.chat.completions.with_raw_response.create(model="m", messages=[])
        self.assertEqual(raw.parse().choices[0].message.content, "hello")

    def test_a_deployment_of_the_client_is_the_model(self):
        client = AzureOpenAI(api_key=KEY, azure_endpoint="e", azure_deployment="d", api_version="v")
        client.with_options(timeout=3).chat.completions.create(messages=[])
        self.assertEqual(world.requests[0].model, "d")

    def test_completions_and_embeddings(self):
        world.chat = lambda request: {"choices": [{"text": "t", "index": 0}], "usage": None}
        self.assertEqual(self.client.completions.create(model="m", prompt="p").choices[0].text, "t")
        answer = self.client.embeddings.create(model="e", input=["a", "b"])
        self.assertEqual([one.embedding for one in answer.data], [[0.5, -1.0]] * 2)
        encoded = self.client.embeddings.create(model="e", input="a", encoding_format="base64")
        self.assertEqual(encoded.data[0].embedding, "AAAAPwAAgL8=")
        self.assertEqual(answer.usage.total_tokens, 4)

    def test_names_for_annotations_exist(self):
        self.assertTrue(issubclass(ChatCompletionMessageParam, dict))


class Failures(Case):
    def test_each_refusal_has_its_class(self):
        for kind, status, expected, code in (
            ("NOT_GRANTED", None, openai.PermissionDeniedError, 403),
            ("NOT_FOUND", None, openai.NotFoundError, 404),
            ("INVALID_REQUEST", None, openai.BadRequestError, 400),
            ("INVALID_REQUEST", 422, openai.UnprocessableEntityError, 422),
            ("UNAUTHENTICATED", 401, openai.AuthenticationError, 401),
            ("RATE_LIMITED", 429, openai.RateLimitError, 429),
            ("EXHAUSTED", None, openai.RateLimitError, 429),
            ("REJECTED", 400, openai.BadRequestError, 400),
            ("UNAVAILABLE", 503, openai.InternalServerError, 503),
            ("UNAVAILABLE", None, openai.APIConnectionError, None),
            ("TIMEOUT", None, openai.APITimeoutError, None),
            ("INTERNAL", None, openai.InternalServerError, 500),
        ):

            def refuse(request, kind=kind, status=status):
                raise refused(kind, "why", status)

            world.chat = refuse
            for call in (
                lambda: OpenAI(api_key=KEY).chat.completions.create(model="m", messages=[]),
                lambda: OpenAI(api_key=KEY).chat.completions.create(model="m", messages=[], stream=True),
                lambda: OpenAI(api_key=KEY).embeddings.create(model="m", input="x"),
            ):
                with self.assertRaises(expected) as raised:
                    call()
                self.assertIs(type(raised.exception), expected)
                self.assertEqual(getattr(raised.exception, "status_code", None), code)
                self.assertIn("why", str(raised.exception))

    def test_what_is_not_here_says_so(self):
        for call in (
            lambda: OpenAI(api_key=KEY).images.generate(prompt="x"),
            lambda: OpenAI(api_key=KEY).beta.threads.create(),
            lambda: openai.ChatCompletion.create(model="m"),
        ):
            with self.assertRaises(openai.OpenAIError) as raised:
                call()
            self.assertRegex(str(raised.exception), "not available inside a node|no longer supported in openai>=1.0.0")
