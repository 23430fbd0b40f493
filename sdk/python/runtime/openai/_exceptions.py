"""The exceptions of OpenAI's client, made of the host's failures.

| the host says | raised | `status_code` |
| --- | --- | --- |
| a status of the service | the class of that status, from 500 on InternalServerError | that |
| `invalid-request`, `rejected` | BadRequestError | 400 |
| `unauthenticated` | AuthenticationError | 401 |
| `not-granted` | PermissionDeniedError, whose message names the grant | 403 |
| `not-found` | NotFoundError | 404 |
| `rate-limited`, `exhausted` | RateLimitError | 429 |
| `timeout` | APITimeoutError | none |
| `unavailable`, `cancelled` | APIConnectionError | none |
| `protocol` | APIResponseValidationError | 200 |
| `internal` | InternalServerError | 500 |
"""


class OpenAIError(Exception):
    """The base of all."""


class Request:
    """What a request was, as far as is known here."""

    def __init__(self, method="POST", url=""):
        self.method, self.url, self.headers = method, url, {}


class Response:
    """What stands for the answer of the service in an exception."""

    def __init__(self, status_code, text):
        self.status_code, self.text = status_code, text
        self.headers, self.request = {}, Request()
        self.is_error = status_code >= 400

    def json(self):
        return {"error": {"message": self.text}}


class APIError(OpenAIError):
    def __init__(self, message, request=None, *, body=None):
        super().__init__(message)
        self.message, self.request, self.body = message, request or Request(), body
        self.code = body.get("code") if isinstance(body, dict) else None
        self.param = body.get("param") if isinstance(body, dict) else None
        self.type = body.get("type") if isinstance(body, dict) else None


class APIResponseValidationError(APIError):
    def __init__(self, response=None, body=None, *, message=None):
        super().__init__(message or "Data returned by API invalid for expected schema.", body=body)
        self.response = response or Response(200, "")
        self.status_code = self.response.status_code


class APIStatusError(APIError):
    def __init__(self, message, *, response=None, body=None):
        self.response = response or Response(self._status, message)
        self.status_code = self.response.status_code
        self.request_id = None
        super().__init__(message, self.response.request, body=body)

    _status = 500


class APIConnectionError(APIError):
    def __init__(self, *, message="Connection error.", request=None):
        super().__init__(message, request)


class APITimeoutError(APIConnectionError):
    def __init__(self, request=None, *, message="Request timed out."):
        super().__init__(message=message, request=request)


class BadRequestError(APIStatusError):
    _status = 400


class AuthenticationError(APIStatusError):
    _status = 401


class PermissionDeniedError(APIStatusError):
    _status = 403


class NotFoundError(APIStatusError):
    _status = 404


class ConflictError(APIStatusError):
    _status = 409


class UnprocessableEntityError(APIStatusError):
    _status = 422


class RateLimitError(APIStatusError):
    _status = 429


class InternalServerError(APIStatusError):
    _status = 500


class LengthFinishReasonError(OpenAIError):
    pass


class ContentFilterFinishReasonError(OpenAIError):
    pass


_BY_STATUS = {
    kind._status: kind
    for kind in (
        BadRequestError,
        AuthenticationError,
        PermissionDeniedError,
        NotFoundError,
        ConflictError,
        UnprocessableEntityError,
        RateLimitError,
        InternalServerError,
    )
}
_STATUS_OF_KIND = {
    "invalid-request": 400,
    "rejected": 400,
    "unauthenticated": 401,
    "not-granted": 403,
    "not-found": 404,
    "rate-limited": 429,
    "exhausted": 429,
    "internal": 500,
}


def of(failed) -> OpenAIError:
    """The exception for a `weir_python.host.CallFailed`."""
    if failed.kind == "timeout":
        return APITimeoutError(message=failed.message)
    if failed.kind == "protocol":
        return APIResponseValidationError(message=failed.message)
    status = failed.status or _STATUS_OF_KIND.get(failed.kind)
    if status is None:
        return APIConnectionError(message=failed.message)
    kind = _BY_STATUS.get(status) or (InternalServerError if status >= 500 else APIStatusError)
    # The host has tried again already: prompt flow's own tools give up at once on this type, instead of waiting.
    quota = {"type": "insufficient_quota"} if status == 429 else {}
    body = {"message": failed.message, "code": failed.kind, **quota}
    return kind(f"Error code: {status} - {failed.message}", response=Response(status, failed.message), body=body)
