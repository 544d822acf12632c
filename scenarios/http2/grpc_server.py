"""The health service of grpcio, on a port of its own: grpcio takes no passed socket. Each call takes 20 ms.

With --count FILE it writes how many calls it answered when it ends."""

import argparse
import signal
import threading
import time
from concurrent import futures

import grpc
from grpc_health.v1 import health, health_pb2_grpc


class Health(health.HealthServicer):
    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()
        self.calls = 0

    def Check(self, request, context):
        with self.lock:
            self.calls += 1
        time.sleep(0.02)
        return super().Check(request, context)


parser = argparse.ArgumentParser()
parser.add_argument("--listen", default="127.0.0.1:8140")
parser.add_argument("--count")
arguments = parser.parse_args()
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
service = Health()
server = grpc.server(futures.ThreadPoolExecutor(32))
health_pb2_grpc.add_HealthServicer_to_server(service, server)
port = server.add_insecure_port(arguments.listen)
server.start()
print(port, flush=True)
stop.wait()
# New calls are refused, those in flight have five seconds.
server.stop(5).wait()
if arguments.count:
    with open(arguments.count, "w") as file:
        file.write(str(service.calls))
