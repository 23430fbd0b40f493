def clean(question: str) -> str:
    return " ".join(question.split())
