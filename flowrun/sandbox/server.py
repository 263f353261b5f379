"""The sandbox on a socket. Owns listening, the server's beginning and end, and the breaking of single connections.

uvicorn does the HTTP. Its logs are off: addresses carry tokens. Signals are left to whoever runs the server.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from flowrun.sandbox.http import CONNECTION, Application
from flowrun.sandbox.service import Sandbox

# Longer than any usual client keeps a connection: where both ends give up at once, a request may be lost on the way.
KEEP_ALIVE = 75
GRACE = 1  # seconds that requests under way have, once the server is told to stop
_LINGER_NOT = struct.pack("ii", 1, 0)


class ListenError(Exception):
    """The address cannot be had. `reason`: in use, no permission, or no address of this machine."""

    def __init__(self, host: str, port: int, error: OSError) -> None:
        self.host, self.port = host, port
        self.in_use = error.errno == errno.EADDRINUSE
        self.no_permission = error.errno in (errno.EACCES, errno.EPERM)
        super().__init__(error.strerror or str(error))


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that takes connections, which wait until they are served. `host`: an IP address."""

    socket: socket.socket
    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        return ipaddress.ip_address(self.host).is_loopback

    @property
    def url(self) -> str:
        """What links begin with. Bound to every address of the machine, it is the loopback's."""
        address = ipaddress.ip_address(self.host)
        if address.version == 6:
            return f"http://[{'::1' if address.is_unspecified else address.compressed}]:{self.port}"
        return f"http://{'127.0.0.1' if address.is_unspecified else address.compressed}:{self.port}"


def listen(host: str, port: int) -> Listener:
    """Take connections at the first address of `host`; port 0 is any free one. Raises ListenError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind, protocol)  # asyncio sends small answers at once where it knows of TCP
    except OSError as error:
        raise ListenError(host, port, error) from None
    try:
        if os.name == "posix":  # elsewhere it would let two servers have one port
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen()
    except OSError as error:
        sock.close()
        raise ListenError(host, port, error) from None
    bound = sock.getsockname()
    return Listener(sock, str(bound[0]).partition("%")[0], int(bound[1]))


class SandboxServer:
    """Serves `sandbox` at `listener` until it is told to stop. `now`: seconds since 1970."""

    def __init__(self, sandbox: Sandbox, listener: Listener, now: Callable[[], float] = time.time) -> None:
        self.listener = listener
        self._application = Application(sandbox, now)
        config = uvicorn.Config(
            self._application,
            http=_Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=GRACE,
        )
        self._server = _Server(config)

    async def serve(self, ready: Callable[[], None] = lambda: None) -> None:
        """Returns once it has stopped and let go of everything. `ready` is called when requests are answered."""
        self._server.ready = ready
        try:
            await self._server.serve([self.listener.socket])
        finally:
            for connection in list(self._server.server_state.connections):
                connection.transport.abort()
            self._application.close()

    def stop(self) -> None:
        """From any thread, any number of times."""
        self._server.should_exit = True


class _Server(uvicorn.Server):
    ready: Callable[[], None]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Protocol(H11Protocol):
    """Tells the application which connection a request came by, and is it."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.app_state = {**self.app_state, CONNECTION: self}

    def reset(self) -> None:
        """With RST, as a connection that broke on the way ends."""
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        self.transport.abort()

    def close(self) -> None:
        self.transport.close()
