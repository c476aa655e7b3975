"""An upstream shaped like OpenAI's API, whose tokens are those of another provider: it asks that one about each.

Prints "ready PORT", and serves:

  GET  /v1/models
  POST /v1/chat/completions   whole, or as server-sent events, one for each GET /next
  GET  /next                  lets a stream go on by one event
  GET  /report                how often each status was answered, and how often no token came at all
"""

import argparse
import collections
import json
import threading
import time
import urllib.error
import urllib.request

from waitress import create_server

options = argparse.ArgumentParser()
options.add_argument("--port", type=int, required=True)
options.add_argument("--resource", required=True, help="a URL that is answered 200 to those with a good token")
options = options.parse_args()

answered = collections.Counter()
lock = threading.RLock()
turns = threading.Semaphore(0)
WORDS = ["A", " token", " a", " day", " keeps", " the", " outage", " away", "."]
MODEL = "perennial-1"


def is_good(authorization):
    request = urllib.request.Request(options.resource, headers={"Authorization": authorization})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status == 200
    except urllib.error.HTTPError:
        return False


def chunk(delta, reason=None):
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": MODEL,
        "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
    }


def events():
    # Whoever holds events back waits for the next one in vain.
    for word in WORDS:
        turns.acquire(timeout=120)
        yield f"data: {json.dumps(chunk({'role': 'assistant', 'content': word}))}\n\n".encode()
    turns.acquire(timeout=120)
    yield f"data: {json.dumps(chunk({}, 'stop'))}\n\n".encode()
    yield b"data: [DONE]\n\n"


def application(environ, start_response):
    def answer(status, document):
        with lock:
            answered[status[:3]] += 1
        body = json.dumps(document).encode()
        start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    path = environ["PATH_INFO"]
    if path == "/report":
        with lock:
            return answer("200 OK", dict(answered))
    if path == "/next":
        turns.release()
        start_response("204 No Content", [("Content-Length", "0")])
        return []
    authorization = environ.get("HTTP_AUTHORIZATION", "")
    if authorization in ("", "Bearer", "Bearer "):
        with lock:
            answered["empty"] += 1
    if not authorization.startswith("Bearer ") or not is_good(authorization):
        return answer(
            "401 Unauthorized",
            {"error": {"message": "Incorrect API key provided", "type": "invalid_request_error", "code": "invalid_api_key"}},
        )
    if path == "/v1/models":
        return answer("200 OK", {"object": "list", "data": [{"id": MODEL, "object": "model", "created": 1, "owned_by": "us"}]})
    if path != "/v1/chat/completions" or environ["REQUEST_METHOD"] != "POST":
        return answer("404 Not Found", {"error": {"message": "there is no such thing", "type": "invalid_request_error"}})
    wanted = json.load(environ["wsgi.input"])
    if wanted.get("stream"):
        with lock:
            answered["200"] += 1
        start_response("200 OK", [("Content-Type", "text/event-stream"), ("Cache-Control", "no-cache")])
        return events()
    return answer(
        "200 OK",
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": MODEL,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": "".join(WORDS)},
                    "finish_reason": "stop",
                }
            ],
            "usage": {"prompt_tokens": 1, "completion_tokens": len(WORDS), "total_tokens": 1 + len(WORDS)},
        },
    )


server = create_server(application, host="127.0.0.1", port=options.port, threads=16)
print(f"ready {options.port}", flush=True)
server.run()
