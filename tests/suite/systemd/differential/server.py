"""Answers after 0 to 400 ms, and keeps its count of requests in hand in mapped memory, which outlives it.

One thread, which counts a request as soon as it has read it. It handles no signal: SIGTERM ends it at once. Takes a
passed socket, else binds what its first argument says: a port of 127.0.0.1, or a path.
"""
import heapq, mmap, os, random, select, socket, sys, time

counts = os.open(f"{sys.argv[2]}/{os.getpid()}", os.O_RDWR | os.O_CREAT, 0o644)
os.ftruncate(counts, 4)
in_hand = memoryview(mmap.mmap(counts, 4)).cast("I")

def listener():
    if os.environ.get("LISTEN_FDS"):
        return socket.socket(fileno=3)
    if sys.argv[1].startswith("/"):
        if os.path.exists(sys.argv[1]):
            os.unlink(sys.argv[1])
        made = socket.socket(socket.AF_UNIX)
        made.bind(sys.argv[1])
    else:
        made = socket.socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("127.0.0.1", int(sys.argv[1])))
    made.listen(512)
    return made

server = listener()
server.setblocking(False)
epoll = select.epoll()
epoll.register(server, select.EPOLLIN)
connections, due = {}, []

def drop(number):
    connections.pop(number).close()

def accept():
    while True:
        try:
            client, _ = server.accept()
        except BlockingIOError:
            return
        client.setblocking(False)
        connections[client.fileno()] = client
        epoll.register(client, select.EPOLLIN)

def read(number):
    try:
        request = connections[number].recv(65536)
    except ConnectionError:
        request = b""
    if not request:
        return drop(number)
    in_hand[0] += 1
    heapq.heappush(due, (time.monotonic() + random.uniform(0, 0.4), number, connections[number]))

def answer():
    while due and due[0][0] <= time.monotonic():
        _, number, client = heapq.heappop(due)
        in_hand[0] -= 1
        if connections.get(number) is client:
            try:
                client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n")
            except OSError:
                drop(number)

while True:
    wait = max(0.0, due[0][0] - time.monotonic()) if due else 1.0
    for number, _ in epoll.poll(wait):
        accept() if number == server.fileno() else read(number)
    answer()
