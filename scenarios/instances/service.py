"""A small HTTP service on the listening sockets that systemd passes.

It answers with the name of the descriptor that the request came in by (FileDescriptorName=), one request a
connection. Told to stop, it accepts no more, answers what it has accepted, and ends; what waits in the queue of the
socket is for the next process. Without a listening socket it ends with EX_CONFIG of sysexits.h, and without a word: with
StandardInput=socket its standard error is that socket.
"""

import argparse
import os
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FIRST_PASSED_FD = 3  # SD_LISTEN_FDS_START of sd_listen_fds(3)
LOOK_FOR_STOP_S = 0.05


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"answered by {self.server.label}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Nothing: a client on a Unix socket has no address to log."""


class Server(ThreadingHTTPServer):
    daemon_threads = False  # server_close() waits for the requests that were accepted

    def __init__(self, fd, label):
        super().__init__(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = socket.socket(fileno=fd)
        if not self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            sys.exit(os.EX_CONFIG)
        self.label = label


def passed():
    """The descriptors and their names, as sd_listen_fds_with_names(3) has them."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        sys.exit(os.EX_CONFIG)
    count = int(os.environ.get("LISTEN_FDS", "0"))
    names = os.environ.get("LISTEN_FDNAMES", ":".join(["unknown"] * count)).split(":")
    return list(zip(range(FIRST_PASSED_FD, FIRST_PASSED_FD + count), names))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--stdin", action="store_true", help="standard input is the listening socket")
    parser.add_argument("--boot", type=float, metavar="SECONDS", default=0, help="how long a start takes")
    options = parser.parse_args()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    descriptors = [(sys.stdin.fileno(), "stdin")] if options.stdin else passed()
    time.sleep(options.boot)
    servers = [Server(fd, label) for fd, label in descriptors]
    for server in servers:
        threading.Thread(target=server.serve_forever, args=(LOOK_FOR_STOP_S,)).start()
    signal.sigwait({signal.SIGTERM})
    for server in servers:
        server.shutdown()
    for server in servers:
        server.server_close()


if __name__ == "__main__":
    main()
