"""Writes markup.json: texts of chats, and the messages or the error that prompt flow makes of them.

    pip download --no-deps promptflow-tools==1.6.1 && unzip promptflow_tools-*.whl
    python3 markup.py promptflow/tools/common.py > markup.json

The functions are taken out of that file, so that nothing else of prompt flow is needed.
"""

import ast
import json
import re
import sys

WANTED = {
    "validate_role", "try_parse_name_and_content", "try_parse_tool_call_id_and_content", "try_parse_tool_calls",
    "is_tool_chunk", "parse_tools", "parse_chat", "to_content_str_or_list",
}
TEXTS = [
    "system:\nBe brief.\nuser:\nhi\n",
    "# system:\n\n  Be brief.  \n\n# user:\nhi\n# assistant:\nhello\n",
    "  #  User  :  \n\n\n hi\n",
    "#\nuser\n:\nhi",
    "SYSTEM:\na\nSystem:\nb",
    "user:\n",
    "user:\nassistant:\n",
    "",
    " \n\n",
    "no role at all",
    "before\nuser:\nafter",
    "user: hi\n",
    "user:\nask the user:\nnow",
    "user:\nname the system: please\nsystem :x\n",
    "user:\n## name:\nada\n## content:\nhi\nthere\n",
    "user:\nname:\n\nada\ncontent: hi",
    "user:\nMy name: Ada\ncontent: none",
    "user:\nmy name:\nAda Lovelace\ncontent:\nnone",
    "function:\n## name:\nsum\n## content:\n{\"a\": 1}\n",
    "function:\n3",
    "assistant:\n## tool_calls:\n[{'id': 'a', 'type': 'function', 'function': {'name': 'f', 'arguments': '{}'}}]\ntool:\n## tool_call_id:\na\n## content:\n3\n",
    "assistant:\ntool_calls:\n[]\nuser:\nhi",
    "assistant:\n## tool_calls:\n[{'a': True, 'b': None, 'c': 1.5, 'd': (1, 2), 'e': \"it's\\n\"}]",
    "assistant:\n## tool_calls:\n[broken\nuser:\nhi",
    "assistant:\n## tool_calls:\n[{'a': true}]",
    "assistant:\nplain\n",
    "tool:\ncontent:\n3",
    "tool:\n# tool_call_id:\na\n# content:\n 3 \n",
    "user:\n\u00a0hi\u3000\n\x1c",
    "\u00a0user\u00a0:\u00a0\n\u00e9",
    "user:\r\nhi\r\nassistant:\r\nyes",
    "\n\n\nuser:\n\n\n# assistant:\nx",
]


class Refused(Exception):
    def __init__(self, message):
        self.message = message


def errors(name):
    return type(name, (Refused,), {})


def functions(path):
    tree = ast.parse(open(path).read())
    tree.body = [
        node for node in tree.body
        if (isinstance(node, ast.FunctionDef) and node.name in WANTED)
        or (isinstance(node, ast.Assign) and node.targets[0].id == "VALID_ROLES")
    ]
    scope = {"re": re, "ast": ast, "List": list, "Optional": __import__("typing").Optional, "Dict": dict, "Mapping": dict}
    for name in ("ChatAPIInvalidRole", "ChatAPIFunctionRoleInvalidFormat", "ChatAPIToolRoleInvalidFormat"):
        scope[name] = errors(name)
    scope["Escaper"] = type("Escaper", (), {"unescape_roles": staticmethod(lambda text, _: text)})
    tree = ast.parse("from __future__ import annotations\n" + ast.unparse(tree))
    exec(compile(tree, path, "exec"), scope)
    return scope


parse_chat = functions(sys.argv[1])["parse_chat"]
cases = []
for text in TEXTS:
    try:
        cases.append({"text": text, "messages": parse_chat(text)})
    except Refused as error:
        cases.append({"text": text, "code": type(error).__name__, "message": error.message})
print("[")
print(",\n".join(json.dumps(case, ensure_ascii=False) for case in cases))
print("]")
