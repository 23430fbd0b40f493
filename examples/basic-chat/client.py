#!/usr/bin/env python3
"""Scores a question, then sends feedback on the answer into the same trace. Needs Python's standard library alone.

    client.py [URL] [QUESTION]        client.py http://127.0.0.1:8080 "What is a weir?"

Both requests carry the same `traceparent` header (W3C Trace Context), so whoever looks at the trace sees the question,
the way of the flow, and what the user thought of the answer.
"""

import json
import secrets
import sys
import urllib.error
import urllib.request


def post(url, body, headers):
    """Posts JSON and returns the JSON of the reply, also of a refusal."""
    data = json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request) as reply:
            return json.load(reply)
    except urllib.error.HTTPError as refusal:
        sys.exit(f"{url}: status {refusal.code}: {refusal.read().decode()}")
    except urllib.error.URLError as problem:
        sys.exit(f"{url}: {problem.reason}; is weir serving there?")


def main():
    url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"
    question = sys.argv[2] if len(sys.argv) > 2 else "What is a weir?"

    # Version, trace, span of the caller, and that it is recorded. A browser or gateway would make this one.
    trace = secrets.token_hex(16)
    headers = {"traceparent": f"00-{trace}-{secrets.token_hex(8)}-01"}

    answer = post(f"{url}/score", {"question": question, "chat_history": []}, headers)
    print(f"POST /score     {json.dumps(answer, ensure_ascii=False)}", flush=True)

    thanks = post(f"{url}/feedback", {"rating": "thumbs up", "comment": "exactly what I asked"}, headers)
    print(f"POST /feedback  {json.dumps(thanks)}", flush=True)
    print(f"trace           {trace}", flush=True)


if __name__ == "__main__":
    main()
