"""Connections as inputs, and which of them a client means."""

from .case import Case, chat_answer, world

TOOL = "from promptflow.core import tool\nfrom promptflow.connections import *\nfrom typing import Union\n"


class Inputs(Case):
    def test_a_key_is_a_placeholder_and_the_rest_is_real(self):
        self.load(
            TOOL
            + "@tool\ndef f(c: AzureOpenAIConnection):\n    return [c.name, c.api_base, c.api_key, dict(c)['api_type']]"
        )
        world.settings = {"aoai.api_base": "https://a.test", "aoai.api_version": "v"}
        self.assertEqual(self.answer(c="aoai"), ["aoai", "https://a.test", "weir-connection:aoai", "azure"])

    def test_a_custom_connection_has_what_is_granted(self):
        self.load(
            TOOL
            + "@tool\ndef f(c: CustomConnection):\n    return [c.secrets['key'], c.key, c.endpoint, c.configs['endpoint']]"
        )
        world.settings = {"mine.key": "k", "mine.endpoint": "e", "other.key": "no"}
        world.variables["WEIR_SECRET_SETTINGS"] = "mine.key,other.key"
        self.assertEqual(self.answer(c="mine"), ["k", "k", "e", "e"])

    def test_a_custom_connection_says_what_is_secret(self):
        self.load(
            TOOL
            + "@tool\ndef f(c: CustomConnection):\n    return [list(c.secrets), list(c.configs),"
            + " [c.is_secret(key) for key in ('key', 'endpoint', 'withheld', 'nothing')]]"
        )
        world.settings = {"mine.key": "k", "mine.endpoint": "e"}
        world.variables["WEIR_SECRET_SETTINGS"] = "mine.key,mine.withheld"
        self.assertEqual(self.answer(c="mine"), [["key"], ["endpoint"], [True, False, True, False]])

    def test_a_key_that_is_not_granted_says_what_would_grant_it(self):
        world.variables["WEIR_SECRET_SETTINGS"] = "mine.key"
        for read in ("c.secrets['key']", "c.secrets.get('key')", "c.key", "c['key']"):
            self.load(TOOL + f"@tool\ndef f(c: CustomConnection):\n    return {read}")
            self.assertIn("add `mine.key` to `grants.config` of the node", self.failure(c="mine")[2], read)
            self.setUp()
            world.variables["WEIR_SECRET_SETTINGS"] = "mine.key"

    def test_what_is_not_there_is_told_as_prompt_flow_tells_it(self):
        self.load(
            TOOL + "@tool\ndef f(c: CustomConnection):\n    return [c.secrets.get('no'), c.configs.get('no', 1), c.no]"
        )
        self.assertIn("'CustomConnection' object has no attribute 'no'", self.failure(c="mine")[2])

    def test_a_class_of_the_flows_own(self):
        self.load(
            TOOL
            + "from promptflow.contracts.types import Secret\nclass Mine(CustomStrongTypeConnection):\n"
            + "    key: Secret\n    base: str = 'default'\n"
            + "@tool\ndef f(c: Mine):\n    return [c.key, c.base]"
        )
        world.settings = {"mine.key": "k", "mine.base": "b"}
        world.variables["WEIR_SECRET_SETTINGS"] = "mine.key"
        self.assertEqual(self.answer(c="mine"), ["k", "b"])

    def test_of_several_classes_the_one_that_fits(self):
        self.load(
            TOOL + "@tool\ndef f(c: Union[AzureOpenAIConnection, OpenAIConnection]):\n    return type(c).__name__"
        )
        for settings, expected in (
            ({"c.organization": "o"}, "OpenAIConnection"),
            ({"c.api_type": "azure", "c.api_base": "b"}, "AzureOpenAIConnection"),
            ({}, "AzureOpenAIConnection"),
        ):
            world.settings = settings
            self.assertEqual(self.answer(c="c"), expected)


class Clients(Case):
    def asked(self, source, **settings):
        """The connection that a client asked."""
        self.load(
            "from promptflow.core import tool\nfrom openai import *\n@tool\ndef f(c: str = ''):\n" + source, "c.py"
        )
        world.chat = lambda request: chat_answer()
        world.settings = settings
        self.answer()
        return world.requests[-1].connection

    CALL = ".chat.completions.create(model='m', messages=[]).id"

    def test_a_placeholder_names_it(self):
        self.assertEqual(self.asked(f"    return OpenAI(api_key='weir-connection:mine'){self.CALL}"), "mine")

    def test_an_address_leads_to_it(self):
        source = f"    return AzureOpenAI(api_key='k', azure_endpoint='https://a.test/'){self.CALL}"
        self.assertEqual(self.asked(source, **{"mine.api_base": "https://a.test"}), "mine")

    def test_a_variable_says_it(self):
        world.variables["WEIR_LLM_CONNECTION"] = "said"
        self.assertEqual(self.asked(f"    return OpenAI(){self.CALL}"), "said")

    def test_the_only_one_is_it(self):
        world.variables["WEIR_LLM_CONNECTIONS"] = "only"
        self.assertEqual(self.asked(f"    return OpenAI(){self.CALL}"), "only")

    def test_else_it_has_the_usual_name(self):
        self.assertEqual(self.asked(f"    return AzureOpenAI(){self.CALL}"), "azure_open_ai_connection")
        self.setUp()
        self.assertEqual(self.asked(f"    return OpenAI(){self.CALL}"), "open_ai_connection")

    def test_variables_that_the_flow_looks_for_are_set_where_a_connection_is_held(self):
        import os

        from weir_python import models

        self.addCleanup(models.named_variables.clear)
        models.find_variables("os.environ['AZURE_OPENAI_API_KEY']; AzureOpenAIConnection.from_env()")
        source = "    import os\n    return [os.environ.get(n) for n in ('AZURE_OPENAI_API_KEY', 'OPENAI_API_BASE')]"
        self.load("from promptflow.core import tool\n@tool\ndef f():\n" + source)
        before = dict(os.environ)
        self.addCleanup(lambda: os.environ.update(before))
        self.assertEqual(self.answer(), [None, None])
        world.variables["WEIR_LLM_CONNECTIONS"] = "mine"
        self.assertEqual(self.answer(), ["weir-connection:mine", None])
        world.variables["AZURE_OPENAI_API_KEY"] = "set"
        self.assertEqual(self.answer(), ["set", None])

    def test_a_token_of_an_identity_names_none(self):
        from azure.identity import DefaultAzureCredential, get_bearer_token_provider  # noqa: F401

        source = (
            "    from azure.identity import DefaultAzureCredential, get_bearer_token_provider\n"
            "    provider = get_bearer_token_provider(DefaultAzureCredential(), 'scope')\n"
            f"    return AzureOpenAI(azure_endpoint='https://a.test', azure_ad_token_provider=provider){self.CALL}"
        )
        self.assertEqual(self.asked(source, **{"mine.api_base": "https://a.test/"}), "mine")
