"""A model's service that always answers the same: what the flows of this folder ask, at /v1 of a free or given port.

    python3 fake_openai.py --port 18097        says `listening on PORT` and serves until it is ended

| route | answers |
| --- | --- |
| `POST /v1/chat/completions` | what the first matching rule of RULES says, else `You said: <the last user message>` |
| `POST /v1/embeddings` | vectors of 16 numbers, made of the words |
| `GET /pages/NAME.html` | a page of the internet: see PAGES |
| `GET /search?q=…` | a search service that wants the header `api-key: search-secret` |

A function of `tools` is called if the user's words name a word of it. One token is one word.
"""

import argparse
import base64
import hashlib
import json
import re
import struct
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

#: What is looked for in all the text of a request, and what is answered.
RULES = [
    (r"classify a given url[\s\S]*/pages/app", '{"category": "App", "evidence": "Both"}'),
    (r"classify a given url[\s\S]*/pages/paper", '{"category": "Academic", "evidence": "Text content"}'),
    (r"classify a given url", "I cannot tell."),
    (r"calculate the answer[\s\S]*1 \+ 1\?\s*$", '{"answer": "2", "explanation": "one and one"}'),
    (r"calculate the answer[\s\S]*41\?\s*$", "It is 123!"),
    (r"Answer as JSON, with score and reason", '{"score": 4, "reason": "short", "more": [1]}'),
]

PAGES = {
    "app": "<html><head><title>Weir for Android</title></head><body><h1>Weir</h1>\n"
    "<p>Install the <b>app</b> &amp; enjoy.</p><script>var x = 1 < 2;</script></body></html>",
    "paper": "<html><body><h1>On weirs</h1><p>Abstract: we study <i>low dams</i> – and their pools.</p></body></html>",
    "odd": "<html><body>Nothing here</body></html>",
}

SEARCH_KEY = "search-secret"


def text_of(content):
    if isinstance(content, list):
        return " ".join(f"<{part['type']}>" if part.get("text") is None else part["text"] for part in content)
    return content or ""


def words(text):
    return len(text.split())


def reply_to(request):
    """The message that answers, and why it ends."""
    messages = request["messages"]
    last = messages[-1]
    if last["role"] == "tool":
        return {"role": "assistant", "content": f"The function {last.get('name', '')} says: {last['content']}"}, "stop"
    user = next((text_of(m.get("content")) for m in reversed(messages) if m["role"] == "user"), "")
    for tool in request.get("tools") or []:
        function = tool["function"]
        if set(function["name"].split("_")) & set(re.findall(r"[a-z]+", user.lower())):
            call = {"name": function["name"], "arguments": json.dumps(arguments(function["parameters"], user))}
            calls = [{"id": "call_1", "type": "function", "function": call}]
            return {"role": "assistant", "content": None, "tool_calls": calls}, "tool_calls"
    everything = "\n".join(text_of(message.get("content")) for message in messages)
    for pattern, answer in RULES:
        if re.search(pattern, everything):
            return {"role": "assistant", "content": answer}, "stop"
    return {"role": "assistant", "content": f"You said: {user.strip()} ({len(messages)} messages)"}, "stop"


def arguments(parameters, user):
    numbers = [float(n) if "." in n else int(n) for n in re.findall(r"\d+(?:\.\d+)?", user)]
    return {
        name: numbers.pop(0) if kind["type"] == "number" else kind.get("enum", [user.split()[-1]])[0]
        for name, kind in parameters["properties"].items()
    }


def vector_of(text):
    vector = [0.0] * 16
    for word in re.findall(r"\w+", text.lower()):
        vector[hashlib.sha256(word.encode()).digest()[0] % 16] += 1.0
    length = sum(value * value for value in vector) ** 0.5 or 1.0
    return [struct.unpack("<f", struct.pack("<f", value / length))[0] for value in vector]


def usage(prompt, completion):
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


class Service(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    #: An answer leaves whole: what waits for an acknowledgement of its head would be 40 ms late.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/v1/chat/completions":
            self.chat(request)
        elif self.path == "/v1/embeddings":
            self.embed(request)
        else:
            self.answer(404, {"error": {"message": f"no route {self.path}", "type": "invalid_request_error"}})

    def do_GET(self):
        address = urlsplit(self.path)
        page = re.fullmatch(r"/pages/(\w+)\.html", address.path)
        if page:
            found = PAGES.get(page[1])
            self.send(200 if found else 404, "text/html; charset=utf-8", (found or "<p>not found</p>").encode())
        elif address.path == "/search":
            self.search({name: values[0] for name, values in parse_qs(address.query).items()})
        else:
            self.answer(404, {"error": "no route"})

    def chat(self, request):
        message, reason = reply_to(request)
        prompt = sum(words(text_of(m.get("content"))) for m in request["messages"])
        spent = usage(prompt, words(message["content"] or ""))
        base = {"id": "chatcmpl-corpus", "created": 1700000000, "model": request["model"]}
        if not request.get("stream"):
            choice = {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
            self.answer(200, {**base, "object": "chat.completion", "choices": [choice], "usage": spent})
            return
        pieces = [{"role": "assistant", "content": ""}]
        pieces += [{"content": piece} for piece in re.findall(r"\s*\S+", message["content"] or "")]
        choices = [[{"index": 0, "delta": piece, "finish_reason": None}] for piece in pieces]
        choices.append([{"index": 0, "delta": {}, "finish_reason": reason}])
        chunks = [{**base, "object": "chat.completion.chunk", "choices": choice} for choice in choices]
        if (request.get("stream_options") or {}).get("include_usage"):
            chunks.append({**base, "object": "chat.completion.chunk", "choices": [], "usage": spent})
        events = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks] + ["data: [DONE]\n\n"]
        self.send(200, "text/event-stream", "".join(events).encode())

    def embed(self, request):
        texts = request["input"] if isinstance(request["input"], list) else [request["input"]]
        vectors = [vector_of(text) for text in texts]
        if request.get("encoding_format") == "base64":
            vectors = [base64.b64encode(struct.pack("<16f", *vector)).decode() for vector in vectors]
        data = [{"object": "embedding", "index": n, "embedding": vector} for n, vector in enumerate(vectors)]
        spent = sum(words(text) for text in texts)
        told = {"prompt_tokens": spent, "total_tokens": spent}
        self.answer(200, {"object": "list", "data": data, "model": request["model"], "usage": told})

    def search(self, asked):
        if self.headers.get("api-key") != SEARCH_KEY or asked["q"] == "forbidden":
            self.answer(403, {"error": "forbidden"})
            return
        hits = [{"id": n, "text": f"{asked['q']} {n}"} for n in range(1, int(asked["top"]) + 1)]
        self.answer(200, {"hits": hits, "version": asked["api-version"]})

    def answer(self, status, value):
        self.send(status, "application/json", json.dumps(value).encode())

    def send(self, status, kind, body):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def start(port=0):
    """A server on a port of this machine that is not yet serving."""
    server = ThreadingHTTPServer(("127.0.0.1", port), Service)
    server.daemon_threads = True
    return server


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0)
    server = start(parser.parse_args().port)
    print(f"listening on {server.server_address[1]}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        sys.exit(0)
