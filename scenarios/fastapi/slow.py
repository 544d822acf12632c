"""The same application, with two seconds of work before it can answer: a large import, a model to load."""

import time

time.sleep(2)

from app import app  # noqa: E402, F401
