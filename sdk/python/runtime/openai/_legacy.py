"""What OpenAI's client had before version 1, and no longer has."""

from ._exceptions import OpenAIError


class APIRemovedInV1(OpenAIError):
    """A call in the form of before version 1."""

    def __init__(self, symbol):
        super().__init__(
            f"\n\nYou tried to access openai.{symbol}, but this is no longer supported in openai>=1.0.0 - see the "
            "README at https://github.com/openai/openai-python for the API.\n\nYou can run `openai migrate` to "
            "automatically upgrade your codebase to use the 1.0.0 interface. \n\nAlternatively, you can pin your "
            "installation to the old version, e.g. `pip install openai==0.28`\n\nA detailed migration guide is "
            "available here: https://github.com/openai/openai-python/discussions/742\n"
        )


class _Removed:
    def __init__(self, symbol):
        self._symbol = symbol

    def __call__(self, *args, **kwargs):
        raise APIRemovedInV1(self._symbol)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        raise APIRemovedInV1(self._symbol)


class removed:
    NAMES = (
        "Edit", "File", "Audio", "Image", "Model", "Engine", "Customer", "FineTune", "Embedding", "Completion",
        "Deployment", "Moderation", "ErrorObject", "FineTuningJob", "ChatCompletion",
    )  # fmt: skip

    @staticmethod
    def of(name):
        return _Removed(name)
