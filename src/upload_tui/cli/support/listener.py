"""The port of a command that serves something."""

import socket

from upload_tui.errors import UsageError

__all__ = ["open_listener"]


def open_listener(host: str, port: int, *, option: str = "--port") -> socket.socket:
    """Open a port, so that its number is known before the server starts; 0 picks a free one.

    Raises:
        UsageError: it cannot be opened.
    """
    listener: socket.socket | None = None
    if not host:
        raise UsageError("The host is empty", "Give an address of this machine, or 0.0.0.0 for all of them.")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        # With the protocol given, asyncio sets TCP_NODELAY on the connections.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()  # a client that connects before the server starts waits and is not refused
    except (OSError, UnicodeError) as error:  # a host name with an empty or too long part is a UnicodeError
        if listener is not None:
            listener.close()
        reason = error.strerror if isinstance(error, OSError) else "not a host name"
        raise UsageError(
            f"Port {port} of {host} cannot be opened: {reason}", f"Choose another {option}, or port 0."
        ) from error
    return listener
