"""Writes cases.json: templates, variables, and what jinja2 makes of them in the way prompt flow calls it.

    pip install jinja2==3.1.6 && python3 cases.py > cases.json

`lines` marks variables that prompt flow wraps for an Azure chat: a list prints one element per line.
"""

import json

import jinja2
from jinja2.sandbox import SandboxedEnvironment


class ChatInputList(list):
    def __str__(self):
        return "\n".join(map(str, self))


def chat_lists(value):
    if isinstance(value, dict):
        return {key: chat_lists(item) for key, item in value.items()}
    if isinstance(value, list):
        return ChatInputList([chat_lists(item) for item in value])
    return value


VALUES = {
    "yes": True,
    "no": False,
    "nothing": None,
    "int": 42,
    "big": 9007199254740993,
    "negative": -7,
    "float": 0.1,
    "whole": 3.0,
    "huge": 1e16,
    "large": 123456789012345.6,
    "tiny": 0.00001,
    "small": 0.0001,
    "text": "it's",
    "quotes": "say \"it's\"",
    "lines": "a\nb\tc\\d",
    "unicode": "né → 語 \u200b\u00a0\u0301",
    "empty": "",
    "list": ["x", 1, None, True, 2.0, "it's", ["y"]],
    "dict": {"a": 1, "b": [True, None], "c": {"d": "e"}, "f": "line\nbreak"},
    "empty_list": [],
    "empty_dict": {},
}

HISTORY = [
    {"inputs": {"question": "hi"}, "outputs": {"answer": "hello"}},
    {"inputs": {"question": "and?"}, "outputs": {"answer": "so"}},
]

CASES = [(f"prints {name}", "{{ v }}", {"v": value}) for name, value in VALUES.items()]
CASES += [(f"prints {name} in a list", "{{ v }}", {"v": [value]}) for name, value in VALUES.items()]
CASES += [(f"concatenates {name}", "{{ 'a' ~ v }}", {"v": value}) for name, value in VALUES.items()]
CASES += [(f"makes a string of {name}", "{{ v | string | length }}", {"v": value}) for name, value in VALUES.items()]
CASES += [(f"writes {name} as JSON", "{{ v | tojson }}", {"v": value}) for name, value in VALUES.items()]
CASES += [
    ("joins values", "{{ v | join(', ') }}", {"v": [True, None, 1.0, "a", ["b"]]}),
    ("writes indented JSON", "{{ v | tojson(indent=2) }}", {"v": {"b": [1, {}], "a": "<&'>é"}}),
    ("an undefined variable is empty", "a{{ missing }}b", {}),
    ("an undefined attribute is empty", "a{{ v.missing }}b", {"v": {}}),
    ("a loop over nothing is empty", "a{% for x in missing %}{{ x }}{% endfor %}b", {}),
    ("undefined is false", "{% if missing %}a{% else %}b{% endif %}", {}),
    ("a default replaces the undefined", "{{ missing | default('d') }}", {}),
    ("a default can replace the empty", "{{ '' | default('d', true) }}", {}),
    ("an attribute of the undefined fails", "{{ missing.attribute }}", {}),
    ("a block's line break is trimmed", "a\n{% if true %}\nb\n{% endif %}\nc\n", {}),
    ("space before a block stays", "  {% if true %}\n  b\n  {% endif %}\n", {}),
    ("a minus trims", "a  {%- if true -%}  b  {%- endif -%}  c", {}),
    ("the last line break stays", "a\n", {}),
    ("a comment is left out", "a{# b #}c\n{# d #}\ne", {}),
    ("a raw block is kept", "{% raw %}{{ a }}{% endraw %}", {}),
    ("set and loop", "{% set x = 1 %}{% for i in range(3) %}{{ i + x }}{% endfor %}", {}),
    ("loop variables", "{% for i in v %}{{ loop.index }}{{ loop.first }}{{ loop.last }} {% endfor %}", {"v": [1, 2]}),
    ("a loop with a condition", "{% for i in v if i > 1 %}{{ i }}{% else %}none{% endfor %}", {"v": [1, 2, 3]}),
    ("pairs of a dict", "{% for k, x in v.items() %}{{ k }}={{ x }};{% endfor %}", {"v": {"a": 1, "b": True}}),
    ("keys and values", "{{ v.keys() | list }} {{ v.values() | list }}", {"v": {"a": 1, "b": "c"}}),
    ("get with a default", "{{ v.get('x', 'd') }} {{ v.get('y') }}", {"v": {}}),
    ("methods of text", "{{ v.strip().upper() }} {{ v.replace('a', 'b') }} {{ v.split() }}", {"v": " a b "}),
    ("text tests", "{{ v.startswith('a') }} {{ v.endswith('c') }} {{ 'b' in v }}", {"v": "abc"}),
    ("slices", "{{ v[:2] }} {{ v[-1] }} {{ t[1:] }}", {"v": [1, 2, 3], "t": "abc"}),
    ("filters of text", "{{ v | upper }} {{ v | title }} {{ v | capitalize }} {{ v | trim }}", {"v": "ab cd"}),
    ("truncates", "{{ v | truncate(9) }}", {"v": "one two three four"}),
    ("truncates by words or not", "{{ v | truncate(9, true) }} {{ v | truncate(length=12, end='~') }} {{ v | truncate }}", {"v": "one two three four"}),
    ("counts", "{{ v | length }} {{ v | first }} {{ v | last }} {{ v | sum }}", {"v": [1, 2, 3]}),
    ("sorts and reverses", "{{ v | sort }} {{ v | reverse | list }} {{ v | unique | list }}", {"v": [3, 1, 3]}),
    ("maps and selects", "{{ v | map(attribute='a') | list }} {{ v | selectattr('a', 'gt', 1) | list }}", {"v": [{"a": 1}, {"a": 2}]}),
    ("arithmetic", "{{ 7 / 2 }} {{ 7 // 2 }} {{ 7 % 2 }} {{ 2 ** 3 }} {{ 6 / 2 }}", {}),
    ("comparison", "{{ 1 == 1.0 }} {{ 'a' < 'b' }} {{ none is none }} {{ not true }}", {}),
    ("a conditional expression", "{{ 'a' if v else 'b' }}{{ 'c' if not v }}", {"v": True}),
    ("a macro", "{% macro m(x, y=2) %}{{ x }}-{{ y }}{% endmacro %}{{ m(1) }} {{ m(1, y=3) }}", {}),
    ("literals", "{{ [1, 'a', None] }} {{ {'k': true} }} {{ (1, 2) }}", {}),
    ("rounds", "{{ 2.567 | round(1) }} {{ 2.5 | round }} {{ '3' | int + 1 }} {{ '1.5' | float }}", {}),
    ("html is not escaped", "{{ v }} {{ v | escape }}", {"v": "<a href='x'>&"}),
    ("a filter that does not exist fails", "{{ v | no_such_filter }}", {"v": 1}),
    ("a block that does not end fails", "{% if true %}", {}),
    ("an unknown tag fails", "{% nonsense %}", {}),
    ("a chat", "system:\nBe brief.\n{% for item in chat_history %}\nuser:\n{{item.inputs.question}}\nassistant:\n{{item.outputs.answer}}\n{% endfor %}\nuser:\n{{question}}\n", {"chat_history": HISTORY, "question": "why"}),
    ("prints a chat history", "{{ chat_history }}", {"chat_history": HISTORY}),
]
LINES = [
    ("a list prints one element per line", "{{ v }}", {"v": ["a", 1, True, None, ["b", "c"]]}),
    ("a list in a dict prints as Python", "{{ v }}", {"v": {"a": ["b", 1.5]}}),
    ("a list of dicts prints one dict per line", "{{ chat_history }}", {"chat_history": HISTORY}),
    ("a slice is a list again", "{{ v[:2] }}", {"v": ["a", "b", "c"]}),
    ("a list is still a list", "{% for x in v %}{{ x }};{% endfor %}{{ v | length }}{{ v[1] }}{{ v | join('+') }}", {"v": ["a", "b"]}),
    ("an empty list prints nothing", "[{{ v }}]", {"v": []}),
    ("a list as JSON", "{{ v | tojson }}", {"v": ["a", ["b"]]}),
]


def render(template, variables):
    environment = SandboxedEnvironment(trim_blocks=True, keep_trailing_newline=True)
    try:
        return {"expected": environment.from_string(template).render(**variables)}
    except Exception as error:
        return {"error": type(error).__name__}


cases = []
for name, template, variables in CASES:
    cases.append({"name": name, "template": template, "variables": variables, **render(template, variables)})
for name, template, variables in LINES:
    rendered = render(template, chat_lists(variables))
    cases.append({"name": name, "template": template, "variables": variables, "lines": True, **rendered})
assert jinja2.__version__ == "3.1.6"
print("[")
print(",\n".join(json.dumps(case, ensure_ascii=False) for case in cases))
print("]")
