"""Compares what weir answers with what prompt flow itself answers, flow by flow, and writes RESULTS.md.

    python3 tests/corpus/compare.py --original VENV/bin/python [--weir BINARY] [--only FLOW …]

Without `--original` weir is held against `expected.json`, which the original wrote. See README.md.
"""

import argparse
import json
import statistics
import sys
import threading
import time
from pathlib import Path

import fake_openai
import results
from served import FAKE_PORT, Failed, Original, Weir

HERE = Path(__file__).resolve().parent
FLOWS = HERE / "python"

#: Calls that are measured, after one that is not.
CALLS = 10


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--original", type=Path, help="the Python of an environment that has promptflow")
    parser.add_argument("--weir", type=Path, default=HERE.parents[1] / "target/debug/weir")
    parser.add_argument("--work", type=Path, default=HERE.parents[1] / "target/corpus")
    parser.add_argument(
        "--only", nargs="*", metavar="FLOW", help="these flows, or none; others keep their last results"
    )
    parser.add_argument("--note", default="", help="what to say of the times, such as which machine it was")
    given = parser.parse_args()
    service = fake_openai.start(FAKE_PORT)
    threading.Thread(target=service.serve_forever, daemon=True).start()
    kept = given.work / "results.json"
    told = json.loads(kept.read_text()) if kept.exists() else {}
    flows = sorted(path.name for path in FLOWS.iterdir() if path.is_dir())
    for flow in flows if given.only is None else given.only:
        print(flow, end=": ", flush=True)
        told[flow] = compare(flow, given)
        kept.write_text(json.dumps(told, indent=1))
        print(results.summary(flow, told[flow]), flush=True)
    told = {flow: told[flow] for flow in flows if flow in told}
    (HERE / "RESULTS.md").write_text(results.text(told, given.note))
    return 0 if all(results.is_right(flow, case) for flow, one in told.items() for case in one["cases"]) else 1


def compare(flow, given):
    """All that is known of a flow after it was served by both."""
    cases = json.loads((FLOWS / flow / "cases.json").read_text())
    expected = FLOWS / flow / "expected.json"
    original = {}
    if given.original:
        original = asked(Original(flow, given.work, given.original.absolute()), cases)
        expected.write_text(json.dumps(original["answers"], indent=1, ensure_ascii=False) + "\n")
    wanted = json.loads(expected.read_text()) if expected.exists() else {}
    weir = Weir(flow, given.work, given.weir.absolute())
    try:
        seconds, size = weir.build()
    except Failed as failed:
        got = {"answers": {case["name"]: {"failed": str(failed)} for case in cases}}
        seconds = size = None
    else:
        got = asked(weir, cases)
    return {
        "cases": [
            {"name": case["name"], "original": wanted.get(case["name"]), "weir": got["answers"][case["name"]]}
            for case in cases
        ],
        "build": seconds,
        "size": size,
        "request": [original.get("median"), got.get("median")],
        "nodes": weir.node_times() if weir.log.exists() else {},
    }


def asked(side, cases):
    """What one side answers to each case, and the median of its times for the first that ends well."""
    requests = [case for case in cases if "data" not in case]
    answers, median = {}, None
    try:
        try:
            side.serve()
            answers = {case["name"]: attempt(side.ask, case) for case in requests}
            well = [case for case in requests if answers[case["name"]].get("status") == 200 and "headers" not in case]
            if well:
                median = timed(side, well[0])
        finally:
            side.stop()
    except Failed as failed:
        answers = {case["name"]: {"failed": str(failed)} for case in requests}
    answers |= {case["name"]: side.batch(case) for case in cases if "data" in case}
    return {"answers": answers, "median": median}


def attempt(ask, case):
    try:
        return ask(case)
    except (OSError, ValueError) as error:
        return {"failed": f"{type(error).__name__}: {error}"}


def timed(side, case):
    times = []
    for _ in range(1 + CALLS):
        began = time.perf_counter()
        side.ask(case)
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times[1:])


if __name__ == "__main__":
    sys.exit(main())
