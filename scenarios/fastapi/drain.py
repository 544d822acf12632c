"""Runs uvicorn with its own command line, but loses no request when it is told to stop.

At SIGTERM uvicorn closes every connection that is idle at that moment. A request that a client sends just then is in
the air, and is answered by a reset; so is one on a connection that was accepted but not read yet. Here such
connections are given a moment: each may bring one more request, and its answer says `Connection: close`, so that the
client opens a new one, which waits in the socket unit's queue for the next process.
"""

import uvicorn
from uvicorn.config import HTTP_PROTOCOLS
from uvicorn.protocols.http.h11_impl import H11Protocol

CLOSE = (b"connection", b"close")
GRACE_S = 0.5


class DrainingProtocol(H11Protocol):
    def shutdown(self) -> None:
        if CLOSE not in self.server_state.default_headers:
            self.server_state.default_headers.append(CLOSE)
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(GRACE_S, self.close_if_idle)

    def close_if_idle(self) -> None:
        idle = self.cycle is None or self.cycle.response_complete
        if idle and not self.transport.is_closing():
            self.transport.close()


if __name__ == "__main__":
    HTTP_PROTOCOLS["h11"] = "drain:DrainingProtocol"
    uvicorn.main()
