"""A Flask application on the socket that systemd passes, by Flask's own development server.

Flask.run() cannot take a descriptor; werkzeug's make_server() can.
"""

import os
import signal
import sys
import threading

from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

FIRST_PASSED_FD = 3  # SD_LISTEN_FDS_START of sd_listen_fds(3)

app = Flask(__name__)


@app.route("/")
def index():
    return "answered by Flask\n"


class OneRequest(WSGIRequestHandler):
    """Without keep-alive, no connection is idle when the server stops."""

    protocol_version = "HTTP/1.0"


def main():
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        sys.exit("flask_app: systemd passed no socket")
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=OneRequest, fd=FIRST_PASSED_FD)
    server.daemon_threads = False  # it ends when what it accepted is answered
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever(poll_interval=0.05)


if __name__ == "__main__":
    main()
