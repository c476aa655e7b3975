"""Calls an upstream with OpenAI's own client library, and prints what came as one JSON object."""

import argparse
import json
import urllib.request

import openai

options = argparse.ArgumentParser()
options.add_argument("--base-url", required=True)
options.add_argument("--upstream", required=True, help="where the upstream itself is told to let its stream go on")
options.add_argument("--key", default="not-needed")
options = options.parse_args()

client = openai.OpenAI(base_url=options.base_url, api_key=options.key, max_retries=0, timeout=30)
messages = [{"role": "user", "content": "Say something about tokens."}]
found = {"models": [model.id for model in client.models.list()]}
found["whole"] = client.chat.completions.create(model="perennial-1", messages=messages).choices[0].message.content



def let_one_event_come():
    urllib.request.urlopen(options.upstream + "/next", timeout=30).close()


words = []
let_one_event_come()
for chunk in client.chat.completions.create(model="perennial-1", messages=messages, stream=True):
    # Only when the one before has come: events that are held back never do.
    words.append(chunk.choices[0].delta.content or "")
    let_one_event_come()
found["streamed"] = "".join(words)
found["chunks"] = len(words)

raw = client.chat.completions.with_raw_response.create(model="perennial-1", messages=messages)
found["attempts"] = raw.headers.get("Perennial-Attempts")
found["account"] = raw.headers.get("Perennial-Account")
try:
    client.embeddings.create(model="perennial-1", input="x")
except openai.NotFoundError as error:
    found["error"] = error.body["message"]
print(json.dumps(found))
