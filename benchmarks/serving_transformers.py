"""The other side of `benchmarks.serving`: the twenty-line endpoint, with transformers.

    python serving_transformers.py FOLDER

`benchmarks.serving` starts it with the Python of an environment that has torch, transformers and
flask, and sends it the ids of prompts. It prints its port, and answers until it is killed.
"""

import logging
import sys

import torch  # type: ignore[import-not-found]
import transformers  # type: ignore[import-not-found]
from flask import Flask, jsonify, request
from werkzeug.serving import make_server

transformers.logging.set_verbosity_error()
logging.getLogger("werkzeug").setLevel(logging.ERROR)
model = transformers.GPT2LMHeadModel.from_pretrained(sys.argv[1]).eval()
app = Flask(__name__)


@app.post("/generate")
def generate():
    """Continue the ids of a prompt."""
    task = request.json
    ids = torch.tensor([task["ids"]])
    with torch.inference_mode():
        rows = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_length=task["max_length"],
            eos_token_id=task["ends"],
            pad_token_id=task["ends"][0],
            do_sample=True,
            top_k=0,
            top_p=task["top_p"],
        )
    return jsonify({"ids": rows[0, ids.shape[1] :].tolist()})


if __name__ == "__main__":
    server = make_server("127.0.0.1", 0, app, threaded=True)  # as `flask run` makes it
    versions = f"transformers {transformers.__version__}, torch {torch.__version__}"
    print(server.port, versions, flush=True)
    server.serve_forever()
