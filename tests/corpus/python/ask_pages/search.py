import random
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import bs4
import requests

from promptflow.core import tool

session = requests.Session()


def decode_str(string):
    return string.encode().decode("unicode-escape").encode("latin1").decode("utf-8")


def get_page_sentence(page, count: int = 10):
    paragraphs = [p.strip() for p in page.split("\n") if p.strip()]
    sentences = []
    for p in paragraphs:
        sentences += p.split(". ")
    return " ".join([s.strip() for s in sentences if s.strip()][:count])


def fetch_text_content_from_url(url: str, count: int = 10):
    try:
        headers = {"User-Agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"}
        delay = random.uniform(0, 0.01)
        time.sleep(delay)
        response = session.get(url, headers=headers)
        if response.status_code == 200:
            soup = bs4.BeautifulSoup(response.text, "html.parser")
            page_content = [p_ul.get_text().strip() for p_ul in soup.find_all("p") + soup.find_all("ul")]
            page = ""
            for content in page_content:
                if len(content.split(" ")) > 2:
                    page += content
                if not content.endswith("\n"):
                    page += "\n"
            return (url, get_page_sentence(page, count=count))
        else:
            return (url, f"No available content: {response.status_code} {response.reason}")
    except Exception as e:
        return (url, f"No available content: {type(e).__name__}")


@tool
def search_result_from_url(url_list: list, count: int = 10):
    results = []
    partial_func_of_fetch = partial(fetch_text_content_from_url, count=count)
    with ThreadPoolExecutor(max_workers=5) as executor:
        futures = executor.map(partial_func_of_fetch, url_list)
        for feature in futures:
            results.append(feature)
    return results
