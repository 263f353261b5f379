"""A scripted HTTP server on loopback for these tests: real sockets, real resets, no sleeping."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

RESET = object()  # break the connection with an RST
CLOSE = object()  # end the connection in good order
HANG = object()  # say nothing more, until the client goes


@dataclass
class Seen:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


Step = bytes | object
Script = Callable[[Seen], Iterable[Step]]


def http(status: int, body: bytes = b"", *, length: int | None = None, **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body) if length is None else length}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


@dataclass
class Loopback:
    """`read_body=False`: answer, or do what the script says, as soon as the head is in."""

    script: Script
    read_body: bool = True
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0

    async def __aenter__(self) -> Loopback:
        self._tasks: set[asyncio.Task] = set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.current_task())
        self.connections += 1
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                while await self._answer(reader, writer):
                    pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0))) if self.read_body else b""
        self.seen.append(Seen(method, target, headers, body))
        for step in self.script(self.seen[-1]):
            if step is RESET:
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                writer.transport.abort()
                return False
            if step is CLOSE:
                return False
            if step is HANG:
                if self.read_body:
                    await reader.read()
                else:
                    await asyncio.Event().wait()
                return False
            writer.write(step)
            await writer.drain()
        return self.read_body
