"""A small HTTP service with everything that the runbook asks of one, each of which can be left out.

It takes the socket that systemd passes (or binds one), says READY=1 when it can work, and at SIGTERM accepts no more,
answers what it has accepted and tells clients that keep their connection to open a new one, which then waits in the
socket's queue for the next process.
"""

import argparse
import os
import pathlib
import select
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FIRST_PASSED_FD = 3  # SD_LISTEN_FDS_START of sd_listen_fds(3)
LOOK_FOR_STOP_S = 0.05
GRACE_S = 1.0  # how long a kept connection may take to bring its last request
BODY = b"the answer of the application\n"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet

    def handle(self):
        self.close_connection = False
        while not self.close_connection and self.server.brings_a_request(self.connection):
            self.handle_one_request()

    def do_GET(self):
        time.sleep(self.server.work_s)
        is_up = self.server.is_ready.is_set() or self.path == "/health"
        self.send_response(200 if is_up else 503)
        self.send_header("Content-Length", str(len(BODY)))
        if self.server.is_stopping.is_set():
            self.send_header("Connection", "close")
        self.end_headers()
        if self.server.answers_half:
            self.wfile.write(BODY[: len(BODY) // 2])
            self.close_connection = True
        else:
            self.wfile.write(BODY)

    def log_message(self, *_):
        """Nothing: the load is counted elsewhere."""


class Server(ThreadingHTTPServer):
    daemon_threads = False  # server_close() waits for the connections

    def __init__(self, listener, work_s, answers_half):
        super().__init__(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.work_s = work_s
        self.answers_half = answers_half
        self.is_ready = threading.Event()
        self.is_stopping = threading.Event()
        self.stop_seen, self.stop_said = os.pipe()  # readable for ever once the stop was said

    def brings_a_request(self, connection):
        """Waits for the next request; from the stop on, only for so long."""
        ready, _, _ = select.select([connection, self.stop_seen], [], [])
        return connection in ready or bool(select.select([connection], [], [], GRACE_S)[0])

    def stop(self):
        self.is_stopping.set()
        os.write(self.stop_said, b"x")
        self.shutdown()
        self.server_close()


def listener(bind):
    if bind:
        host, port = bind.rsplit(":", 1)
        return socket.create_server((host, int(port)), backlog=1024)
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        sys.exit("app: systemd passed no socket")
    return socket.socket(fileno=FIRST_PASSED_FD)


def say_ready():
    """READY=1 of sd_notify(3)."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.connect("\0" + address[1:] if address.startswith("@") else address)
            manager.send(b"READY=1")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bind", metavar="HOST:PORT", help="bind a socket instead of taking the passed one")
    parser.add_argument("--boot", type=float, metavar="SECONDS", default=0, help="how long it takes until it can work")
    parser.add_argument("--work", type=float, metavar="SECONDS", default=0, help="how long a request takes")
    parser.add_argument("--early", action="store_true", help="answer at once, but all except /health with 503 until it can work")
    parser.add_argument("--abrupt", action="store_true", help="end at SIGTERM, whatever is unanswered")
    parser.add_argument("--broken", metavar="FILE", type=pathlib.Path, help="end with an error while this file is there")
    options = parser.parse_args()
    if options.broken and options.broken.exists():
        sys.exit(f"app: cannot start: {options.broken} is there")
    if not options.abrupt:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    if not options.early:
        time.sleep(options.boot)
    answers_half = os.environ.get("RELEASE") == "half"
    server = Server(listener(options.bind), options.work, answers_half)
    if options.early:
        threading.Timer(options.boot, server.is_ready.set).start()
    else:
        server.is_ready.set()
    threading.Thread(target=server.serve_forever, args=(LOOK_FOR_STOP_S,), daemon=True).start()
    say_ready()
    if options.abrupt:
        signal.pause()  # for a SIGTERM that ends the process
    signal.sigwait({signal.SIGTERM})
    server.stop()


if __name__ == "__main__":
    main()
