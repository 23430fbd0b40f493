from promptflow.core import tool


@tool
def process_search_result(search_result):
    def format(doc: dict):
        return f"Content: {doc['Content']}\nSource: {doc['Source']}"
    try:
        context = []
        for url, content in search_result:
            context.append({"Content": content, "Source": url})
        return "\n\n".join([format(c) for c in context])
    except Exception as e:
        print(f"Error: {e}")
        return ""
