"""A receiver of webhooks that verifies signatures with the library of Standard Webhooks, which is not Perennial's.

Every request is one line of JSON in the journal: id, type, account, verified, answered. How it answers is what the first
word of the mode file says:

  ok      200
  error   500
  late    says nothing for two seconds, and then nothing either
  lost    takes the event, and answers 500 all the same
"""

import argparse
import http.server
import json
import os
import threading
import time

from standardwebhooks import Webhook, WebhookVerificationError

options = argparse.ArgumentParser()
options.add_argument("--port", type=int, required=True)
options.add_argument("--secret", required=True)
options.add_argument("--journal", required=True)
options.add_argument("--mode", required=True)
options = options.parse_args()
lock = threading.Lock()


def mode():
    with open(options.mode) as file:
        return file.read().strip()


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        how = mode()
        if how == "late":
            time.sleep(2)
            self.close_connection = True
            return
        try:
            event = Webhook(options.secret).verify(body, dict(self.headers))
            verified = True
        except WebhookVerificationError:
            event, verified = json.loads(body), False
        line = {
            "id": self.headers["webhook-id"],
            "type": event["type"],
            "account": event["data"].get("account"),
            "verified": verified and event["id"] == self.headers["webhook-id"],
            "taken": how in ("ok", "lost"),
        }
        with lock, open(options.journal, "a") as journal:
            journal.write(json.dumps(line) + "\n")
            journal.flush()
            os.fsync(journal.fileno())
        self.send_response(200 if how == "ok" else 500)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", options.port), Receiver)
print(f"ready {options.port}", flush=True)
server.serve_forever()
