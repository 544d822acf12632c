"""Greets whoever connects, on the socket that systemd passes.

As the guide has it, it greets one client and ends. `--until-idle SECONDS` keeps it until nobody came for so long, and
`--boot SECONDS` makes its start as slow as that of a large application.
"""

import argparse
import os
import select
import signal
import socket
import sys
import time

FIRST_PASSED_FD = 3  # SD_LISTEN_FDS_START of sd_listen_fds(3)
GREETING = b"Hello, you woke me up.\n"


def passed_listener():
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        sys.exit("greeter: systemd passed no socket")
    return socket.socket(fileno=FIRST_PASSED_FD)


def greet(listener):
    connection, _ = listener.accept()
    with connection:
        connection.sendall(GREETING)


def greet_until_idle(listener, idle_s):
    """A stop comes between two greetings, never inside one: SIGTERM only makes `told` readable."""
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    signal.set_wakeup_fd(tell)
    signal.signal(signal.SIGTERM, lambda *_: None)
    while True:
        ready, _, _ = select.select([listener, told], [], [], idle_s)
        if not ready or told in ready:
            return
        greet(listener)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--until-idle", type=float, metavar="SECONDS")
    parser.add_argument("--boot", type=float, metavar="SECONDS", default=0)
    options = parser.parse_args()
    listener = passed_listener()
    time.sleep(options.boot)
    if options.until_idle is None:
        greet(listener)
    else:
        greet_until_idle(listener, options.until_idle)


if __name__ == "__main__":
    main()
