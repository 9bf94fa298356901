"""The other side of `benchmarks.nanogpt`, in the environment that has torch: a loss of nanoGPT.

    cd CHECKOUT; python nanogpt_loss.py CHECKPOINT WINDOWS

CHECKPOINT is what train.py has saved. WINDOWS is an .npz with `rows`, (windows, context + 1), and
`weights`, (windows, context). Prints the mean loss over all of them, in nats per character.
"""

import sys

import numpy as np
import torch  # type: ignore[import-not-found]

sys.path.insert(0, ".")
from model import GPT, GPTConfig  # type: ignore[import-not-found]

checkpoint = torch.load(sys.argv[1], map_location="cpu", weights_only=False)
model = GPT(GPTConfig(**checkpoint["model_args"]))
model.load_state_dict(checkpoint["model"])
model.eval()

file = np.load(sys.argv[2])
rows, weights = torch.from_numpy(file["rows"]).long(), torch.from_numpy(file["weights"])
with torch.no_grad():
    # The model returns the logits of all places only when it gets targets.
    batches = [model(batch[:, :-1], batch[:, 1:].contiguous())[0] for batch in rows.split(256)]
logits = torch.cat(batches).transpose(1, 2)  # (windows, vocabulary, context)
losses = torch.nn.functional.cross_entropy(logits, rows[:, 1:], reduction="none")
print(float((losses * weights).sum() / weights.sum()))
