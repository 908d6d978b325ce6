"""Errors of S3 as messages of one line: what happened, in which bucket, and what to do.

Only codes and names of exceptions are shown: messages of a server or a library may hold a signed
URL, or a key.
"""

from urllib.parse import urlsplit

from botocore import exceptions as boto
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from wdsremux.core.errors import StoreError, UnreachableStoreError, UsageError
from wdsremux.stores.schemes import SCHEMES

KEYS_REFUSED = (
    "AuthFailure", "AuthorizationHeaderMalformed", "ExpiredToken", "ExpiredTokenException",
    "InvalidAccessKeyId", "InvalidClientTokenId", "InvalidToken", "NotSignedUp",
    "SignatureDoesNotMatch", "TokenRefreshRequired", "UnrecognizedClientException",
)  # fmt: skip
CLOCK_REFUSED = ("RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture")
BUSY = (
    "BandwidthLimitExceeded", "ConditionalRequestConflict", "InternalError", "OperationAborted",
    "RequestLimitExceeded", "RequestTimeout", "RequestTimeoutException", "ServiceUnavailable",
    "SlowDown", "SlowDownRead", "SlowDownWrite", "ThrottledException", "Throttling",
    "ThrottlingException", "TooManyRequests", "TooManyRequestsException",
)  # fmt: skip
DAMAGED = (
    "BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch",
    "IncompleteBody",
)  # fmt: skip
UNREADABLE = (ResponseParserError, HTTPError, LookupError, TypeError, ValueError)
"""What reading the answer raises when the network has damaged it, or no S3 server sent it."""
UNREACHABLE = (boto.ConnectionError, boto.HTTPClientError, boto.IncompleteReadError, OSError)
NOT_IMPLEMENTED = 501
AGAIN = "run the same command again: finished files are kept"


class RefusalError(StoreError):
    """The server refused a request permanently; holds the reason."""

    def __init__(self, message: str, code: str, status: int) -> None:
        super().__init__(message)
        self.code = code
        self.status = status

    @property
    def is_absent(self) -> bool:
        """Whether the object does not exist (but its bucket may)."""
        return self.status == 404 and self.code != "NoSuchBucket"

    @property
    def is_conflict(self) -> bool:
        """Whether a condition of the request was not met."""
        return self.status == 412

    @property
    def is_damage(self) -> bool:
        """Whether the bytes that arrived differ from those that were sent."""
        return self.code in DAMAGED


def s3_error(exc: Exception, what: str, bucket: str, endpoint: str) -> StoreError | UsageError:
    """Return the error for what boto3 or its connection raised while we tried to do `what`."""
    if isinstance(exc, boto.ClientError):
        return _refusal(exc, what, bucket, endpoint)
    host = _host(endpoint)
    name = type(exc).__name__
    if isinstance(exc, boto.NoCredentialsError | boto.PartialCredentialsError):
        return no_credentials(what)
    if isinstance(exc, boto.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(exc):
        return StoreError(
            f"cannot {what}: the certificate of {host!r} is not trusted; check AWS_ENDPOINT_URL, "
            "or name the file of your certificate authority by AWS_CA_BUNDLE"
        )
    if isinstance(exc, (*UNREACHABLE, *UNREADABLE)):
        is_away = isinstance(exc, UNREACHABLE)
        cause = f"no connection to {host!r}" if is_away else f"no readable answer from {host!r}"
        return UnreachableStoreError(
            f"cannot {what}: {cause} ({name}); check the network and AWS_ENDPOINT_URL, then {AGAIN}"
        )
    if isinstance(exc, boto.ParamValidationError):
        return UsageError(
            f"cannot {what}: {bucket!r} is not a valid bucket name; check the spelling"
        )
    return StoreError(
        f"cannot {what}: the credentials or the configuration for S3 cannot be used ({name}); "
        "check AWS_PROFILE and the files in ~/.aws, or log in again"
    )


def no_credentials(what: str) -> StoreError:
    """Return the error for a machine without credentials."""
    return StoreError(f"cannot {what}: no credentials were found; {SCHEMES['s3'].login_hint}")


def conflict(what: str) -> RefusalError:
    """Return the error for a request whose condition was not met."""
    return RefusalError(f"cannot {what}: {_REASONS[412]}", "PreconditionFailed", 412)


def _refusal(exc: boto.ClientError, what: str, bucket: str, endpoint: str) -> StoreError:
    code = str(exc.response.get("Error", {}).get("Code", ""))[:60]
    status = exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    host = _host(endpoint)
    if code in BUSY or status in (408, 429) or (status >= 500 and status != NOT_IMPLEMENTED):
        return UnreachableStoreError(
            f"cannot {what}: {host!r} is busy or failing ({code or status}); {AGAIN}"
        )
    return RefusalError(f"cannot {what}: {_reason(code, status, bucket, host)}", code, status)


def _host(endpoint: str) -> str:
    """Return host and port, without credentials."""
    return urlsplit(endpoint).netloc.rpartition("@")[2]


def _reason(code: str, status: int, bucket: str, host: str) -> str:
    """Return what is wrong and what to do about it."""
    if code in KEYS_REFUSED:
        return f"{host!r} refuses the keys ({code}); check AWS_PROFILE, or the keys and the region"
    if code in CLOCK_REFUSED:
        return f"{host!r} rejects the clock of this machine ({code}); set the clock"
    if code == "NoSuchBucket":
        return f"bucket {bucket!r} does not exist at {host!r}; create it, or check the spelling"
    return _REASONS.get(
        status, "the server refuses it ({code}); see the documentation of the server for this code"
    ).format(code=code or status, bucket=bucket)


_NO_PERMISSION = (
    "bucket {bucket!r} refuses it ({code}); check the keys, their permissions to list, get, put "
    "and delete, and the clock of this machine"
)
_REASONS = {
    301: "bucket {bucket!r} is in another region; set AWS_REGION",
    307: "bucket {bucket!r} is in another region; set AWS_REGION",
    401: _NO_PERMISSION,
    403: _NO_PERMISSION,
    404: "it does not exist ({code})",
    412: "another writer has changed it in the meantime",
}
