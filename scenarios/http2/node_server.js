// HTTP/2 by prior knowledge on the passed socket. Each request takes 20 ms. At SIGTERM each session is closed: it takes
// no new stream and ends with its last one.
const http2 = require("node:http2");

const sessions = new Set();
const server = http2.createServer();
server.on("session", (session) => {
    sessions.add(session);
    session.on("close", () => sessions.delete(session));
});
server.on("stream", (stream) => {
    setTimeout(() => {
        if (stream.destroyed) return;
        stream.respond({ ":status": 200 });
        stream.end("ok\n");
    }, 20);
});
server.listen({ fd: 3 });
process.on("SIGTERM", () => {
    server.close();
    for (const session of sessions) session.close();
});
