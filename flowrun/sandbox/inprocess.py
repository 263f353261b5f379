"""The sandbox in this process: an exchange of one request for one finished answer. Owns nothing but the joining.

`exchange` does no waiting: whoever carries the answer looks at `delay`, `lost` and `cut`. It may be called from any thread, and
better is where it does not matter that the first download of an output makes the media.
"""

from __future__ import annotations

from collections.abc import Callable

from flowrun.sandbox.downloads import deliver
from flowrun.sandbox.messages import Request, Response
from flowrun.sandbox.service import Sandbox


class InProcess:
    """A sandbox with a clock. `now`: seconds since 1970, real or virtual."""

    def __init__(self, sandbox: Sandbox, now: Callable[[], float]) -> None:
        self.sandbox = sandbox
        self._now = now

    def exchange(self, request: Request) -> Response:
        """The answer, its body made; `cut` bytes of it are what arrives. Raises OSError where the state cannot be written."""
        return deliver(self.sandbox.handle(request, self._now()))
