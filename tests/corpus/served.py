"""A flow served by weir, or by prompt flow itself, and what it answers to a case. Both get the same files.

A case is `{"name", "body" or "text", "headers"?}` for a request, or `{"name", "data", "mapping"?}` for a batch run.
An answer is `{"status", "body"}`, `{"status", "text"}` if it is no JSON, `{"status", "events"}` if it is a stream, or
`{"metrics", "lines"}` of a batch.
"""

import hashlib
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path
from urllib.parse import urlsplit

HERE = Path(__file__).resolve().parent

#: Where the fake service is: flows and connections of this folder name it.
FAKE_PORT = 18097

CONNECTION = f"""name: open_ai_connection
type: open_ai
api_key: sk-corpus
base_url: http://127.0.0.1:{FAKE_PORT}/v1
"""

#: How long a server may take until it is ready: weir compiles a component that is new.
MOST_WAIT = 300


class Failed(Exception):
    """The flow cannot be built or served; the text is what was said last."""


class Side:
    """One of the two, with the flow in a folder of its own, since both write into it."""

    name = ""

    def __init__(self, flow, work):
        self.flow = flow
        self.root = work / self.name
        self.folder = self.root / "python" / flow
        self.log = self.root / f"{flow}.log"
        self.process = None
        self.address = None
        copy(HERE / "shared", self.root / "shared")
        copy(HERE / "python" / flow, self.folder)
        (self.root / "open_ai_connection.yml").write_text(CONNECTION)

    def connections(self):
        """The connection files: that of the model, and those in the folder."""
        own = [path for path in sorted(self.folder.glob("*.yml")) if "Connection.schema.json" in path.read_text()]
        return [self.root / "open_ai_connection.yml", *own]

    def start(self, command, address):
        environment = {**os.environ, "SEARCH_SERVICE_KEY": "search-secret", **self.environment()}
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
        until = time.monotonic() + MOST_WAIT
        while not (found := address()):
            if self.process.poll() is not None or time.monotonic() > until:
                self.stop()
                raise Failed(self.last_words())
            time.sleep(0.2)
        self.address = found

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def last_words(self):
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        return "\n".join(lines[-6:])

    def environment(self):
        return {}

    def ask(self, case):
        body = case["text"] if "text" in case else json.dumps(case["body"])
        place = urlsplit(self.address)
        connection = http.client.HTTPConnection(place.hostname, place.port, timeout=120)
        try:
            headers = {"content-type": "application/json", **case.get("headers", {})}
            connection.request("POST", "/score", body.encode(), headers)
            response = connection.getresponse()
            return answer(response.status, response.getheader("content-type", ""), response.read().decode())
        finally:
            connection.close()


class Weir(Side):
    name = "weir"

    def __init__(self, flow, work, binary):
        super().__init__(flow, work)
        self.binary = binary
        self.built = None

    def build(self):
        """Builds a flow that has changed since. Gives the seconds that it took, and the megabytes of the component."""
        told, stamp = self.root / f"{self.flow}.build.log", self.root / f"{self.flow}.stamp"
        files = digest(HERE / "python" / self.flow, HERE / "shared")
        if not (stamp.exists() and stamp.read_text() == files):
            done = subprocess.run([self.binary, "build", self.folder], capture_output=True, text=True)
            told.write_text(done.stdout + done.stderr)
            if done.returncode:
                raise Failed(told.read_text().strip())
            stamp.write_text(files)
        size = re.search(r"([\d.]+) MB in ", told.read_text())
        seconds = re.search(r"components? in ([\d.]+) s", told.read_text())
        return float(seconds[1]), float(size[1])

    def serve(self):
        command = [self.binary, "serve", self.folder, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]
        for file in self.connections():
            command += ["--connections", file]
        self.start(command, self.listening)

    def listening(self):
        told = re.search(r"^listening on (http://\S+)", self.log.read_text(errors="replace"), re.M)
        return told and told[1]

    def environment(self):
        return {"WEIR_DRAIN_DELAY": "0s"}

    def batch(self, case):
        output = self.root / f"{self.flow}.jsonl"
        output.unlink(missing_ok=True)
        command = [self.binary, "run", self.folder, "--data", self.folder / case["data"], "--output", output]
        for name, value in case.get("mapping", {}).items():
            command += ["--column-mapping", f"{name}={value}"]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **self.environment()})
        if not output.exists():
            return {"failed": (done.stdout + done.stderr).strip()[-600:]}
        lines = sorted(map(json.loads, output.read_text().splitlines()), key=lambda line: line["line_number"])
        end = next((json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"metrics"')), {})
        return {"metrics": end.get("metrics"), "lines": [line.get("outputs") for line in lines]}

    def node_times(self):
        """Milliseconds of each run of each node, as the printed traces tell."""
        times = {}
        row = r"^[ │├└─]*[├└]─ (\S+) +(?:Completed|ok) +\+[\d.]+ m?s +([\d.]+) (m?s|µs)"
        for name, number, unit in re.findall(row, self.log.read_text(errors="replace"), re.M):
            times.setdefault(name, []).append(float(number) * {"s": 1000, "ms": 1, "µs": 0.001}[unit])
        return times


class Original(Side):
    name = "original"

    def __init__(self, flow, work, python):
        super().__init__(flow, work)
        self.python = python
        home = self.root / "home"
        home.mkdir(exist_ok=True)
        (home / "pf.yaml").write_text("telemetry: {enabled: false}\ntrace: {destination: none}\n")

    def serve(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.start(self.command("serve", str(port)), lambda: self.healthy(port))

    def command(self, does, what):
        command = [self.python, HERE / "original.py", does, self.folder, what]
        for file in self.connections():
            command += ["--connection", file]
        return command

    def environment(self):
        # The original reads secrets of connection files, and keeps what it has run, below its home.
        return {
            "PF_HOME_DIRECTORY": str(self.root / "home"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PF_LOGGING_LEVEL": "CRITICAL",
        }

    @staticmethod
    def healthy(port):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/health")
            return f"http://127.0.0.1:{port}" if connection.getresponse().status == 200 else None
        except OSError:
            return None

    def batch(self, case):
        command = self.command("batch", str(self.folder / case["data"]))
        for name, value in case.get("mapping", {}).items():
            command += ["--mapping", f"{name}={value}"]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **self.environment()})
        if done.returncode:
            return {"failed": done.stderr.strip()[-600:]}
        return json.loads(done.stdout.splitlines()[-1])


def answer(status, kind, text):
    if kind.startswith("text/event-stream"):
        events = [event for event in re.split(r"\n\n", text) if event.strip()]
        data = ["\n".join(re.findall(r"^data: ?(.*)$", event, re.M)) for event in events]
        return {"status": status, "events": [json.loads(event) for event in data if event]}
    try:
        return {"status": status, "body": json.loads(text)}
    except ValueError:
        return {"status": status, "text": text}


def copy(source, target):
    """Makes a folder like another, but for what is built in it."""
    target.mkdir(parents=True, exist_ok=True)
    for old in target.iterdir():
        if not (source / old.name).exists() and not old.name.startswith("."):
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    shutil.copytree(
        source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "expected.json", "cases.json")
    )


def digest(*folders):
    """Of all that a flow is made of."""
    sums = hashlib.sha256()
    for path in sorted(path for folder in folders for path in folder.rglob("*") if path.is_file()):
        if path.name not in ("cases.json", "expected.json") and path.suffix != ".pyc":
            sums.update(str(path.relative_to(HERE)).encode() + b"\0" + path.read_bytes() + b"\0")
    return sums.hexdigest()
