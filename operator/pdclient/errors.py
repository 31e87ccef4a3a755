"""What can go wrong when talking to PD, as types with a meaning.

Every error names the endpoint it came from and knows whether the same request may succeed later (`retryable`). An error
never means "the request did nothing": only `PDUnreachable.sent` being False says so.
"""

from __future__ import annotations

__all__ = ["PDError", "PDNotBootstrapped", "PDNotFound", "PDUnexpectedAnswer", "PDUnreachable"]


class PDError(Exception):
    """PD said no, or said nothing.

    Attributes:
        endpoint: which call it was, e.g. `"stores"`; the value of the metrics' `endpoint` label.
        status: PD's HTTP status, or None where no answer came.
        message: PD's words, or what went wrong on the way, for a person.
        retryable: the same request may succeed later without anybody changing it.
    """

    def __init__(self, message: str, *, endpoint: str = "", status: int | None = None, retryable: bool = True) -> None:
        super().__init__(message)
        self.message = message
        self.endpoint = endpoint
        self.status = status
        self.retryable = retryable


class PDNotFound(PDError):
    """404: PD knows no such store, member, scheduler or path."""


class PDNotBootstrapped(PDError):
    """PD runs, but no TiKV has ever registered: there are no stores, regions or schedulers yet."""


class PDUnexpectedAnswer(PDError):
    """PD answered with success, but not with what this client understands."""


class PDUnreachable(PDError):
    """No complete answer came from PD: refused, broken, timed out, or its address or credentials are missing.

    Attributes:
        sent: False if the request certainly never reached PD, so that even a write may be sent again.
        timed_out: the time given ran out.
    """

    def __init__(self, message: str, *, endpoint: str = "", sent: bool = True, timed_out: bool = False) -> None:
        super().__init__(message, endpoint=endpoint, status=None, retryable=True)
        self.sent = sent
        self.timed_out = timed_out
