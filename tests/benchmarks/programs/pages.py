"""Serves prepared pages of very many uploads: `python -m tests.benchmarks.programs.pages COUNT`.

Prints its port. Implements only the HTTP that the client needs.
"""

import asyncio
import sys
from urllib.parse import parse_qs, urlsplit

from tests.benchmarks.uploads import page_body, template


async def main(count: int) -> None:
    upload = template()
    after_last = -(-count // 1000) + 1  # an empty page
    pages = {number: page_body(number, 1000, count, upload) for number in range(1, after_last + 1)}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await reader.readline():
            while (await reader.readline()).strip():
                pass
            query = parse_qs(urlsplit(request.split()[1].decode()).query)
            page, per_page = int(query["page"][0]), int(query["per_page"][0])
            body = pages[page] if per_page == 1000 else page_body(page, per_page, count, upload)
            last = -(-count // per_page)
            head = (
                f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nX-Total: {count}\r\n"
                f"X-Per-Page: {per_page}\r\nX-Next-Page: {page + 1 if page < last else ''}\r\n\r\n"
            )
            writer.write(head.encode() + body)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
