"""A small HTTP server whose faults can be chosen: what each scenario of this folder is about, and nothing else.

It serves the sockets that systemd passes (LISTEN_FDS), or binds one of its own with --listen.
At SIGTERM it stops accepting, finishes the requests that it has read, and closes every other connection.
"""

import argparse
import asyncio
import os
import signal
import socket

BODY = b"ok\n"


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("--listen", type=int, help="bind this port of 127.0.0.1 instead of taking a passed socket")
    parser.add_argument("--start-delay", type=float, default=0, help="seconds until it accepts, as an application that loads")
    parser.add_argument("--accept-delay", type=float, default=0, help="seconds before each accept")
    parser.add_argument("--response-time", type=float, default=0, help="seconds that each answer takes")
    return parser.parse_args()


def sockets(port):
    if port is None:
        return [socket.socket(fileno=3 + n) for n in range(int(os.environ["LISTEN_FDS"]))]
    own = socket.socket()
    own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    own.bind(("127.0.0.1", port))
    own.listen(1024)
    return [own]


class Server:
    def __init__(self, choices):
        self.choices = choices
        self.stopping = asyncio.Event()
        self.waiting = set()  # connections whose request has not come yet
        self.tasks = set()

    async def accept(self, listener):
        loop = asyncio.get_running_loop()
        listener.setblocking(False)
        while True:
            await asyncio.sleep(self.choices.accept_delay)
            connection, _ = await loop.sock_accept(listener)
            task = asyncio.create_task(self.serve(*await asyncio.open_connection(sock=connection)))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def serve(self, reader, writer):
        try:
            while not self.stopping.is_set():
                self.waiting.add(writer)
                head = await reader.readuntil(b"\r\n\r\n")
                self.waiting.discard(writer)
                await asyncio.sleep(self.choices.response_time)
                last = self.stopping.is_set() or b"connection: close" in head.lower()
                connection = b"Connection: close\r\n" if last else b""
                writer.write(b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s" % (connection, len(BODY), BODY))
                await writer.drain()
                if last:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.waiting.discard(writer)
            writer.close()

    async def run(self):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.stopping.set)
        await asyncio.sleep(self.choices.start_delay)
        listeners = sockets(self.choices.listen)
        accepting = [asyncio.create_task(self.accept(listener)) for listener in listeners]
        await self.stopping.wait()
        for task in accepting:
            task.cancel()
        for listener in listeners:
            listener.close()
        for writer in list(self.waiting):
            writer.close()
        if self.tasks:
            await asyncio.wait(self.tasks)


asyncio.run(Server(options()).run())
