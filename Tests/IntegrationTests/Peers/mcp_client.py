"""An assistant's side of the Model Context Protocol that nobody of Perennial wrote: the package mcp.

Reads calls from standard input, one JSON object a line ({"tool", "arguments"}), and prints one JSON line for each:

  {"error", "text", "structured"}

after a first line that says what was negotiated: {"version", "server", "tools"}. The client checks every structured result
against the output schema of its tool.
"""

import argparse
import asyncio
import json
import sys

from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client

options = argparse.ArgumentParser()
options.add_argument("--mode", default="auto", help="auto: ask for the newest revision first; legacy: handshake only")
options.add_argument("--url")
options.add_argument("--key")
options.add_argument("command", nargs="*", help="the server to start, instead of --url")
options = options.parse_args()


def server():
    if options.command:
        return StdioServerParameters(command=options.command[0], args=options.command[1:])
    headers = {"X-Perennial-Key": options.key} if options.key else None
    return streamable_http_client(options.url, http_client=create_mcp_http_client(headers=headers))


def show(value):
    print(json.dumps(value), flush=True)


async def main():
    async with Client(server(), mode=options.mode, read_timeout_seconds=60) as client:
        tools = (await client.list_tools()).tools
        for tool in tools:
            assert tool.input_schema["type"] == "object" and tool.output_schema and tool.annotations
        show(
            {
                "version": client.protocol_version,
                "server": client.server_info.name,
                "tools": sorted(tool.name for tool in tools),
            }
        )
        for line in sys.stdin:
            call = json.loads(line)
            result = await client.call_tool(call["tool"], call["arguments"])
            show(
                {
                    "error": result.is_error,
                    "text": result.content[0].text,
                    "structured": json.dumps(result.structured_content),
                }
            )


asyncio.run(main())
