import collections
import csv
import hashlib
import io
import json
import math
import re
import statistics
import textwrap
import urllib.parse
import xml.etree.ElementTree as ET

from promptflow.core import tool


@tool
def stdlib(text: str):
    words = re.findall(r"\w+", text.lower())
    rows = io.StringIO()
    csv.writer(rows).writerow(words)
    return {
        "counts": dict(collections.Counter(words).most_common(2)),
        "csv": rows.getvalue(),
        "sha": hashlib.sha256(text.encode()).hexdigest()[:12],
        "json": json.dumps({"ä": 1.0}, sort_keys=True),
        "math": [math.isqrt(10), round(math.pi, 5), statistics.mean([1, 2, 4])],
        "wrap": textwrap.shorten(text, 12),
        "url": urllib.parse.quote(text),
        "xml": ET.fromstring(f"<a><b>{text}</b></a>")[0].text,
    }
