"""A stand-in for tiktoken, whose tables are native code and downloads: it splits text about as a model's tokens do.

What flows do with it is to count, and to cut text to a length; both work. The numbers are estimates, some percent off
for English prose and more for code; the tokens themselves are those of no model, and mean something only within one
run. What a call of a model really cost is in its `usage`.
"""

import re

__version__ = "0.0.0+weir"

#: Words with the blank before them, numbers up to three digits, punctuation, white space: the first cut of all encodings.
_PIECES = re.compile(r"'(?:[sdmt]|ll|ve|re)| ?[^\W\d_]+| ?\d{1,3}| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+")

#: The longest piece that is taken for one token, in letters. Common words of English are one.
_LONGEST = 7

_tokens: list[str] = []
_numbers: dict[str, int] = {}


class Encoding:
    def __init__(self, name):
        self.name, self.n_vocab, self.eot_token, self.max_token_value = name, 100_277, 100_257, 100_276
        self.special_tokens_set = {"<|endoftext|>"}

    def encode(self, text, *, allowed_special=(), disallowed_special="all"):
        return [_number(token) for piece in _PIECES.findall(text) for token in _cut(piece)]

    encode_ordinary = encode

    def encode_batch(self, texts, **_):
        return [self.encode(text) for text in texts]

    encode_ordinary_batch = encode_batch

    def decode(self, tokens, errors="replace"):
        return "".join(_tokens[token] for token in tokens)

    def decode_batch(self, batch, **_):
        return [self.decode(tokens) for tokens in batch]

    def encode_single_token(self, text):
        return _number(text)

    def decode_single_token_bytes(self, token):
        return _tokens[token].encode()

    def decode_tokens_bytes(self, tokens):
        return [_tokens[token].encode() for token in tokens]

    def __repr__(self):
        return f"<Encoding {self.name!r}>"


def _number(token):
    if token not in _numbers:
        _numbers[token] = len(_tokens)
        _tokens.append(token)
    return _numbers[token]


def _cut(piece):
    """A piece as tokens. Letters beyond ASCII take more of them."""
    longest = _LONGEST if piece.isascii() else 2
    if len(piece) <= longest + 1:
        return [piece]
    return [piece[at : at + longest] for at in range(0, len(piece), longest)]


_ENCODINGS = ("gpt2", "r50k_base", "p50k_base", "p50k_edit", "cl100k_base", "o200k_base")


def get_encoding(encoding_name):
    if encoding_name not in _ENCODINGS:
        raise ValueError(f"Unknown encoding {encoding_name}.")
    return Encoding(encoding_name)


def encoding_name_for_model(model_name):
    if re.match(r"gpt-4o|gpt-4\.1|gpt-5|o1|o3|o4|chatgpt-4o", model_name):
        return "o200k_base"
    if re.match(r"gpt-4|gpt-3\.5|gpt-35|text-embedding", model_name):
        return "cl100k_base"
    if re.match(r"text-davinci|code-", model_name):
        return "p50k_base"
    raise KeyError(f"Could not automatically map {model_name} to a tokeniser.")


def encoding_for_model(model_name):
    return get_encoding(encoding_name_for_model(model_name))


def list_encoding_names():
    return list(_ENCODINGS)
