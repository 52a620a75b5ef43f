"""Static files over HTTP/1.1, on fibers.

Think without I/O, then do I/O: `request`, `target`, `conditions`, `ranges`, `dates`, `media`,
`listing`, `reply`, `accesslog` and `limits` are pure and know no socket; `site` opens files,
`body` sends them, `connection` is one client's life, `server` is all clients' life.
"""
