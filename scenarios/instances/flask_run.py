"""The same application, handed its socket in the way the guide does: Flask.run(fd=...)."""

import os
import socket

from flask_app import FIRST_PASSED_FD, app

if __name__ == "__main__":
    if os.environ.get("LISTEN_FDS") == "1":
        listener = socket.fromfd(FIRST_PASSED_FD, socket.AF_INET, socket.SOCK_STREAM)
        listener.setblocking(True)
        app.run(fd=listener.fileno())
    else:
        app.run(host="127.0.0.1", port=8080)
