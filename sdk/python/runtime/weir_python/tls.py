"""A stand-in for the module `ssl`: encryption and certificates are the host's.

Clients make a context and wrap a socket with it; here that marks the socket as one over which https is asked. Options,
ciphers and certificate files are accepted and mean nothing.
"""

from __future__ import annotations

import enum
import types
from typing import Any


class SSLError(OSError):
    """What the host reports of an encrypted connection."""


class SSLCertVerificationError(SSLError, ValueError):
    pass


class SSLWantReadError(SSLError):
    pass


class SSLWantWriteError(SSLError):
    pass


class SSLZeroReturnError(SSLError):
    pass


class SSLEOFError(SSLError):
    pass


class SSLSyscallError(SSLError):
    pass


class VerifyMode(enum.IntEnum):
    CERT_NONE = 0
    CERT_OPTIONAL = 1
    CERT_REQUIRED = 2


class TLSVersion(enum.IntEnum):
    MINIMUM_SUPPORTED = -2
    SSLv3 = 768
    TLSv1 = 769
    TLSv1_1 = 770
    TLSv1_2 = 771
    TLSv1_3 = 772
    MAXIMUM_SUPPORTED = -1


class Purpose(enum.Enum):
    SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
    CLIENT_AUTH = "1.3.6.1.5.5.7.3.2"


class SSLSocket:
    """What `isinstance` is asked about; sockets here are all of one class."""


class SSLObject:
    pass


class MemoryBIO:
    pass


class SSLSession:
    pass


class SSLContext:
    """Takes every setting, and marks the sockets that it wraps."""

    sslsocket_class, sslobject_class = SSLSocket, SSLObject

    def __init__(self, protocol: int = 2):
        self.protocol = protocol
        self.check_hostname = True
        self.verify_mode = VerifyMode.CERT_REQUIRED
        self.minimum_version, self.maximum_version = TLSVersion.TLSv1_2, TLSVersion.MAXIMUM_SUPPORTED
        self.options = self.verify_flags = 0
        self.post_handshake_auth = False
        self.keylog_filename = self.sni_callback = None

    def wrap_socket(self, sock: Any, server_side: bool = False, server_hostname: str | None = None, **_: Any) -> Any:
        sock.encrypted = True
        return sock

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("load_", "set_")):
            return lambda *args, **kwargs: None
        if name.startswith("get_") or name in ("cert_store_stats", "session_stats"):
            return lambda *args, **kwargs: {} if name.endswith("stats") else []
        if name == "wrap_bio":
            raise SSLError("encrypted streams are not available inside a node of weir: send requests over HTTP")
        raise AttributeError(name)


def create_default_context(purpose: Any = Purpose.SERVER_AUTH, **_: Any) -> SSLContext:
    return SSLContext()


def _unverified(*_: Any, **__: Any) -> SSLContext:
    context = SSLContext()
    context.check_hostname, context.verify_mode = False, VerifyMode.CERT_NONE
    return context


def module() -> types.ModuleType:
    made = types.ModuleType("ssl", __doc__)
    own = {name: value for name, value in globals().items() if isinstance(value, type) and not name.startswith("_")}
    vars(made).update(own)
    vars(made).update({str(member.name): member for member in VerifyMode})
    vars(made).update(
        create_default_context=create_default_context,
        _create_default_https_context=create_default_context,
        _create_stdlib_context=_unverified,
        _create_unverified_context=_unverified,
        CertificateError=SSLCertVerificationError,
        get_default_verify_paths=lambda: types.SimpleNamespace(cafile=None, capath=None),
        match_hostname=lambda *_: None,
        cert_time_to_seconds=lambda _: 0,
        DER_cert_to_PEM_cert=lambda _: "",
        RAND_bytes=__import__("os").urandom,
        OPENSSL_VERSION="OpenSSL 3.0.0 (weir: encryption is the host's)",
        OPENSSL_VERSION_NUMBER=0x30000000,
        OPENSSL_VERSION_INFO=(3, 0, 0, 0, 0),
        AlertDescription=enum.IntEnum("AlertDescription", {"ALERT_DESCRIPTION_INTERNAL_ERROR": 80}),
        SSLErrorNumber=enum.IntEnum("SSLErrorNumber", {"SSL_ERROR_SSL": 1}),
        socket_error=OSError,
    )
    for name in ("HAS_SNI", "HAS_ALPN", "HAS_NPN", "HAS_TLSv1_2", "HAS_TLSv1_3", "HAS_NEVER_CHECK_COMMON_NAME"):
        setattr(made, name, True)
    protocols = ("PROTOCOL_SSLv23", "PROTOCOL_TLS", "PROTOCOL_TLSv1_2", "PROTOCOL_TLS_CLIENT", "PROTOCOL_TLS_SERVER",
                 "PROTOCOL_SSLv2", "PROTOCOL_SSLv3", "PROTOCOL_TLSv1", "PROTOCOL_TLSv1_1")  # fmt: skip
    options = ("OP_ALL", "OP_NO_SSLv2", "OP_NO_SSLv3", "OP_NO_TLSv1", "OP_NO_TLSv1_1", "OP_NO_TLSv1_2",
               "OP_NO_TLSv1_3", "OP_NO_COMPRESSION", "OP_NO_TICKET", "OP_NO_RENEGOTIATION", "OP_IGNORE_UNEXPECTED_EOF",
               "OP_LEGACY_SERVER_CONNECT", "VERIFY_DEFAULT", "VERIFY_X509_STRICT", "VERIFY_X509_PARTIAL_CHAIN",
               "VERIFY_X509_TRUSTED_FIRST", "SSL_ERROR_WANT_READ", "SSL_ERROR_WANT_WRITE", "SSL_ERROR_EOF",
               "SSL_ERROR_ZERO_RETURN")  # fmt: skip
    for number, name in enumerate(protocols):
        setattr(made, name, number)
    for name in options:
        setattr(made, name, 0)
    return made
