"""The listening half of the server."""

from __future__ import annotations

import asyncio
import socket

import pytest

from migration.base.errors import Refused
from migration.rehearsal import serving


def test_answers_leave_at_once_even_in_small_pieces() -> None:
    """Without TCP_NODELAY each answer on a kept connection waits 40 ms for the caller's delayed ACK."""

    async def accepted() -> int:
        seen: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            held: socket.socket = writer.get_extra_info("socket")
            seen.set_result(held.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        with serving.listening(0) as bound:
            server = await asyncio.start_server(answer, sock=bound)
            _, writer = await asyncio.open_connection(*bound.getsockname())
            async with server:
                found = await seen
            writer.close()
            return found

    assert asyncio.run(accepted()) != 0


def test_a_taken_port_is_refused_by_number() -> None:
    with serving.listening(0) as bound:
        bound.listen()
        port = bound.getsockname()[1]
        with pytest.raises(Refused, match=str(port)):
            serving.listening(port)
