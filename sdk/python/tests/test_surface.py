"""The names that nodes import: each is there, and what cannot work says what to do instead."""

import importlib

from .case import Case

NAMES = {
    "promptflow": "tool trace log_metric ToolProvider PFClient load_flow load_run log_flow_metric __version__",
    "promptflow.core": "log_metric ToolProvider tool Flow AsyncFlow Prompty AsyncPrompty ModelConfiguration "
    "OpenAIModelConfiguration AzureOpenAIModelConfiguration __version__",
    "promptflow.connections": "OpenAIConnection AzureOpenAIConnection AzureContentSafetyConnection SerpConnection "
    "CognitiveSearchConnection FormRecognizerConnection CustomConnection CustomStrongTypeConnection "
    "ServerlessConnection AzureAIServicesConnection ConnectionProvider BingConnection",
    "promptflow.contracts.multimedia": "Image PFBytes Text",
    "promptflow.contracts.types": "Secret PromptTemplate FilePath AssistantDefinition AttrDict",
    "promptflow.tracing": "start_trace trace ThreadPoolExecutorWithContext __version__",
    "promptflow.exceptions": "ErrorTarget PromptflowException UserErrorException SystemErrorException "
    "ValidationException ErrorCategory",
    "promptflow.entities": "AzureOpenAIConnection InputSetting DynamicList Run FlowContext",
    "promptflow._internal": "tool ToolProvider register_apis register_builtins enable_cache logger",
    "promptflow._core.tool": "tool ToolProvider InputSetting DynamicList",
    "promptflow.client": "PFClient load_flow load_run",
    "promptflow.azure": "PFClient",
    "promptflow._sdk": "anything",
    "openai": "OpenAI AzureOpenAI AsyncOpenAI AsyncAzureOpenAI RateLimitError BadRequestError NOT_GIVEN Stream "
    "AssistantEventHandler",
    "openai.types.chat": "ChatCompletion ChatCompletionMessage ChatCompletionChunk ChatCompletionToolParam",
    "azure.identity": "DefaultAzureCredential get_bearer_token_provider ManagedIdentityCredential",
    "aiohttp": "ClientSession ClientTimeout ClientError BasicAuth FormData",
}


class Surface(Case):
    def test_every_name_is_there(self):
        for module, names in NAMES.items():
            found = importlib.import_module(module)
            for name in names.split():
                self.assertTrue(hasattr(found, name), f"{module}.{name}")

    def test_what_cannot_work_says_so_when_it_is_used(self):
        from promptflow._unavailable import NotSupportedInNode
        from promptflow.client import PFClient, load_flow

        for use in (lambda: PFClient(), lambda: load_flow("x"), lambda: PFClient.runs):
            with self.assertRaisesRegex(NotSupportedInNode, "use `weir run` and `weir serve` from outside"):
                use()

    def test_exceptions_have_prompt_flows_codes_and_messages(self):
        from promptflow.exceptions import UserErrorException, ValidationException

        class Mine(ValidationException):
            pass

        self.assertEqual(Mine("x").error_codes, ["UserError", "ValidationError", "Mine"])
        self.assertEqual(UserErrorException(message_format="a {b} {c}", b=1).message, "a 1 <c>")

    def test_threads_do_their_work_at_once(self):
        import concurrent.futures
        import threading

        from weir_python import threads

        saved = {
            (kind, name): getattr(kind, name)
            for kind, names in (
                (threading.Thread, ("start", "join", "is_alive")),
                (threading.Timer, ("start",)),
                (concurrent.futures.ThreadPoolExecutor, ("submit", "shutdown")),
            )
            for name in names
        }
        self.addCleanup(lambda: [setattr(kind, name, value) for (kind, name), value in saved.items()])
        threads.install()
        done = []
        thread = threading.Thread(target=done.append, args=(1,))
        thread.start()
        self.assertEqual((done, thread.is_alive()), ([1], False))
        with concurrent.futures.ThreadPoolExecutor() as pool:
            self.assertEqual(list(pool.map(lambda x: x * x, [1, 2])), [1, 4])
            self.assertIsInstance(pool.submit(lambda: 1 / 0).exception(), ZeroDivisionError)
        with self.assertRaises(RuntimeError):
            threading.Timer(1, print).start()


class Stands(Case):
    def test_tiktoken_counts_about_right_and_gives_text_back(self):
        import tiktoken

        encoding = tiktoken.encoding_for_model("gpt-4")
        text = "The quick brown fox jumps over the lazy dog, and 12345 more."
        tokens = encoding.encode(text)
        self.assertEqual((encoding.name, encoding.decode(tokens)), ("cl100k_base", text))
        # What the original says of it.
        self.assertAlmostEqual(len(tokens), 15, delta=2)
        with self.assertRaises(KeyError):
            tiktoken.encoding_for_model("unheard-of")

    def test_the_context_of_an_operation_knows_the_run(self):
        self.load(
            "from promptflow.core import tool\nfrom promptflow._core.operation_context import OperationContext\n"
            "@tool\ndef f():\n    c = OperationContext.get_instance()\n    seen = c.get('mine')\n    c['mine'] = 1\n"
            "    return [c['flow-id'], c['root-run-id'], seen, c.mine]"
        )
        for _ in range(2):
            self.assertEqual(self.answer(), ["f", "r", None, 1])

    def test_keys_are_derived_without_openssl(self):
        import hashlib

        from weir_python.standins import pbkdf2_hmac

        for name, length in (("sha256", None), ("sha1", 50)):
            given = (name, b"password", b"salt", 5, length)
            self.assertEqual(pbkdf2_hmac(*given), hashlib.pbkdf2_hmac(*given))
