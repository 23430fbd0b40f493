"""Judges answers, and tells them as a page: RESULTS.md."""

import json
import re
import statistics

#: Differences that are meant, by the flow and the case, and why.
MEANT = {
    ("flex_stream", "not acceptable"): "it has a stream, which prompt flow does not say of a flex flow",
    ("user_errors", "set"): "between nodes all is JSON: a set is a list",
    ("user_errors", "dataclass"): "between nodes all is JSON: a dataclass is an object",
    ("user_errors", "bytes"): "between nodes all is JSON: it fails where it leaves the node",
    ("user_errors", "nan"): "NaN is no JSON; weir sends null",
    ("map_summaries", "an empty document"): "the words of Python 3.14, which weir has",
    ("environment_variables", "not seen by the next"): "what a run sets, the next does not see",
    ("flex_async", "not a list"): "an async entry that raises is the user's fault, as one that is not",
    (
        "class_evaluator",
        "a batch whose aggregation fails",
    ): "an aggregation that fails fails the run; prompt flow logs a warning and has no metrics",
    (
        "eval_accuracy",
        "a batch without a mapping, where inputs have defaults",
    ): "a column of an input's name is that input: prompt flow evaluates the default in each line, and the data in none",
}

# What the package `openai` of some version adds as null to what the service has sent; of these weir has function_call and
# tool_calls, which prompt flow's own examples read.
MEANT |= {
    ("use_functions", case): "a message has the fields that the service has sent"
    for case in ("weather", "none", "forecast", "history")
}
MEANT |= {
    ("eval_entity_match", "batch"): "metrics are numbers: false is 0, and a text is none",
    ("flex_async_chat", "stream"): "prompt flow's server cannot stream an async generator; weir's can",
    ("flex_async_chat", "fail"): "weir tells what the generator has raised; prompt flow that it cannot join its chunks",
}

#: Faults that are known, by the flow and the case: what is wrong. To be taken out when they are mended.
FAULTS = {}

#: Texts of errors in which weir leaves out what prompt flow tells, so that they are compared without, and why.
LEFT_OUT = [
    (r"(are missing in request data) \{.*", r"\1", "a reply does not repeat the request"),
    (
        r"(However, the value).*? is invalid for JSON parsing. Error details: .*?\. (?=Please)",
        r"\1 is invalid for JSON parsing. ",
        "a reply does not repeat the request",
    ),
]

#: Which node of which flow is measured as which kind.
KINDS = [
    ("a function", "conditional_switch", "generate_response"),
    ("a function that reads a file", "package_imports", "offer"),
    ("with four calls of `@trace`", "traced_helpers", "recurse"),
    ("an async function", "async_nodes", "slow"),
    ("a generator that another node takes", "stream_dag", "words"),
    ("a class with `init`", "class_tool", "greet"),
    ("of packages from PyPI", "requirements_pure", "table"),
    ("that asks a model by `openai`", "describe_image", "describe"),
    ("that asks a model in each of three threads", "async_nodes", "titles"),
    ("that embeds by `openai`", "rag_local_index", "embed_question"),
    ("that calls a prompty", "prompty_in_node", "joke"),
    ("that asks a service by `requests`", "custom_connection", "search"),
    ("a flex function", "flex_function", "write_simple_program"),
    ("a flex class with a prompty", "flex_class_chat", "ChatFlow"),
    ("beside them: `llm`", "chat_with_history", "chat"),
    ("beside them: `prompt`", "rag_local_index", "context"),
]

#: Runs of a node that are looked at: the last ones, which are those of one and the same request.
CALLS = 10


def verdict(flow, case):
    """Whether the answers are equal: `yes`, `meant: why not`, or `no: what is not`."""
    wrong = judge(case["original"], case["weir"])
    if wrong is None:
        return "yes"
    meant = MEANT.get((flow, case["name"])) or meant_of(case["original"], case["weir"])
    return f"meant: {meant}" if meant else f"no: {FAULTS.get((flow, case['name']), wrong)}"


def meant_of(original, weir):
    """Why they differ, where that holds for all flows."""
    if "events" in (original or {}) and "events" in weir and same(with_words(original), with_words(weir)):
        return "chunks without text are not sent"
    if (original or {}).get("status") == weir.get("status") == 400 and "error" in original.get("body", {}):
        theirs, ours = error_of(original), error_of(weir)
        for pattern, instead, why in LEFT_OUT:
            if [re.sub(pattern, instead, part) for part in theirs] == [re.sub(pattern, instead, part) for part in ours]:
                return why
    return None


def with_words(answer):
    return [event for event in answer["events"] if list(event.values()) != [""]]


def judge(original, weir):
    """None if they are equal, else in a few words what is not."""
    if original is None:
        return "no original"
    if "failed" in original or "failed" in weir:
        return None if "failed" in original and "failed" in weir else "one of them failed"
    if original.get("status") != weir.get("status"):
        return "other status"
    if "metrics" in original:
        return None if same(original, weir) else "other metrics or lines"
    if "events" in original and "events" in weir:
        if same(original["events"], weir["events"]):
            return None
        return "other chunks of the same text" if joined(original) == joined(weir) else "other text"
    if original["status"] >= 400:
        return None if error_of(original) == error_of(weir) else "other error"
    return None if same(content(original), content(weir)) else "other value"


def content(answer):
    return answer.get("body", answer.get("text"))


def error_of(answer):
    """What prompt flow's clients know of an error: weir tells more."""
    error = answer["body"].get("error") if isinstance(answer.get("body"), dict) else None
    return (error["code"], error["message"]) if isinstance(error, dict) else content(answer)


def joined(answer):
    fields = {}
    for event in answer["events"]:
        for name, value in event.items() if isinstance(event, dict) else [("", event)]:
            fields[name] = fields.get(name, "") + value if isinstance(value, str) else value
    return fields


def same(a, b):
    """Equality of JSON values: 1 and 1.0 are equal, 1 and true are not."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return a == b or (a != a and b != b)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return type(a) is type(b) and a == b


def is_right(flow, case):
    return not verdict(flow, case).startswith("no")


def summary(flow, one):
    wrong = [case["name"] for case in one["cases"] if not is_right(flow, case)]
    right = len(one["cases"]) - len(wrong)
    return f"{right} of {len(one['cases'])} right" + (f"; not: {', '.join(wrong)}" if wrong else "")


def text(told, note):
    cases = [(flow, case) for flow, one in told.items() for case in one["cases"]]
    verdicts = [verdict(flow, case) for flow, case in cases]
    equal, meant = verdicts.count("yes"), sum(one.startswith("meant") for one in verdicts)
    lines = [
        "# What weir answers, and what prompt flow answers",
        "",
        f"Written by `compare.py`: {len(told)} flows, {len(cases)} cases; {equal} are equal, {meant} differ on purpose, "
        f"{len(cases) - equal - meant} are wrong. Values are",
        "shortened here; whole ones are in `expected.json` of each flow. Of an error its status, code and message are compared.",
        "",
        "| flow | case | prompt flow 1.17.2 | weir | equal |",
        "| --- | --- | --- | --- | --- |",
    ]
    for (flow, case), found in zip(cases, verdicts, strict=True):
        weir = "the same" if found == "yes" else cell(brief(case["weir"]))
        lines.append(f"| {flow} | {case['name']} | {cell(brief(case['original']))} | {weir} | {cell(found)} |")
    lines += ["", *flow_lines(told, note), "", *kind_lines(told), ""]
    return "\n".join(lines)


def flow_lines(told, note):
    yield "## Flows"
    yield ""
    yield f"A request is one of the first case that ends well: median of {CALLS} after the first, as its client sees it. {note}".strip()
    yield ""
    yield "| flow | `weir build` | component | request, prompt flow | request, weir |"
    yield "| --- | --- | --- | --- | --- |"
    for flow, one in told.items():
        size = f"{one['size']:.1f} MB" if one["size"] else "–"
        build = f"{one['build']:.1f} s" if one["build"] else "–"
        original, weir = (f"{time:.1f} ms" if time else "–" for time in one["request"])
        yield f"| {flow} | {build} | {size} | {original} | {weir} |"


def kind_lines(told):
    yield "## Kinds of nodes"
    yield ""
    yield f"What a call takes by weir's trace: median of the last {CALLS} runs. Each is a fresh instance of the component."
    yield ""
    yield "| a node in Python | is | a call |"
    yield "| --- | --- | --- |"
    for kind, flow, node in KINDS:
        times = told.get(flow, {}).get("nodes", {}).get(node, [])[-CALLS:]
        yield f"| {kind} | {flow}: {node} | {f'{statistics.median(times):.1f} ms' if times else '–'} |"


def brief(answer, most=150):
    if answer is None:
        return "–"
    if "failed" in answer:
        return "failed: " + answer["failed"].splitlines()[-1][-most:]
    if "metrics" in answer:
        return shorten(json.dumps({"metrics": answer["metrics"], "lines": len(answer["lines"])}), most)
    value = joined(answer) if "events" in answer else content(answer)
    if isinstance(value, dict) and isinstance(value.get("error"), dict):
        value = value["error"].get("message", value)
    told = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    events = f" ({len(answer['events'])} events)" if "events" in answer else ""
    return f"{answer['status']} {shorten(told, most)}{events}"


def shorten(words, most):
    return words if len(words) <= most else words[:most] + "…"


def cell(words):
    return words.replace("\\", "\\\\").replace("|", "\\|").replace("\n", "⏎").replace("<", "&lt;")
