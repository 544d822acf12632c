#!/usr/bin/env python3
"""Takes messages on the socket or FIFO that systemd passes, and answers those that can be answered.

It ends between two messages only, so that none is in its hands when it stops. `dns` answers every query with 127.0.0.1;
`none` answers nothing, as a receiver of syslog or statsd does. At its end it says how many messages it took.
"""

import argparse
import os
import select
import signal
import socket
import stat
import struct
import time

PASSED = 3  # SD_LISTEN_FDS_START


def dns_answer(query):
    """The query with one A record (RFC 1035, section 4.1)."""
    header = query[:2] + struct.pack("!5H", 0x8580, 1, 1, 0, 0)
    end = query.index(b"\0", 12) + 5
    return header + query[12:end] + b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + bytes([127, 0, 0, 1])


def answer(message, protocol):
    return dns_answer(message) if protocol == "dns" else b"ok %d\n" % os.getpid()


def notify_ready():
    path = os.environ.get("NOTIFY_SOCKET")
    if path:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.sendto(b"READY=1", "\0" + path[1:] if path.startswith("@") else path)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--protocol", default="text")
    parser.add_argument("--bind", help="HOST:PORT of a UDP socket of its own")
    parser.add_argument("--start-delay", type=float, default=0.0)
    parser.add_argument("--stop-delay", type=float, default=0.0)
    options = parser.parse_args()

    woken, wake = socket.socketpair()
    wake.setblocking(False)
    signal.set_wakeup_fd(wake.fileno())
    signal.signal(signal.SIGTERM, lambda *_: None)

    time.sleep(options.start_delay)
    fifo = passed = None
    if options.bind:
        host, port = options.bind.rsplit(":", 1)
        passed = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        passed.bind((host, int(port)))
    elif stat.S_ISFIFO(os.fstat(PASSED).st_mode):
        fifo = PASSED
    else:
        passed = socket.socket(fileno=PASSED)
    notify_ready()

    took = 0
    while True:
        ready, _, _ = select.select([woken, passed if fifo is None else fifo], [], [])
        if woken in ready:
            time.sleep(options.stop_delay)
            print(f"took {took} messages", flush=True)
            return
        took += 1
        if fifo is not None:
            os.read(fifo, 65536)
        elif passed.type == socket.SOCK_SEQPACKET:
            connection, _ = passed.accept()
            with connection:
                if message := connection.recv(65536):
                    connection.send(answer(message, options.protocol))
        else:
            message, client = passed.recvfrom(65536)
            if options.protocol != "none":
                passed.sendto(answer(message, options.protocol), client)


main()
