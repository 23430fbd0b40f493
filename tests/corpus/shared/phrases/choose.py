def choose(phrases: list, name: str) -> str:
    return phrases[len(name) % len(phrases)]
