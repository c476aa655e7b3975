"""httpbin, which shows its callers what they have sent. Prints "ready PORT"."""

import argparse

from httpbin import app
from waitress import create_server

options = argparse.ArgumentParser()
options.add_argument("--port", type=int, required=True)
options = options.parse_args()

server = create_server(app, host="127.0.0.1", port=options.port, threads=16)
print(f"ready {options.port}", flush=True)
server.run()
