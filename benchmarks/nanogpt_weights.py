"""Weights for nanoGPT: write a checkpoint from which its train.py goes on, as if at the first step.

    cd CHECKOUT; python nanogpt_weights.py WEIGHTS CHECKPOINT HEADS

WEIGHTS is an .npz with the arrays of a GPT-2 under their published names. It runs in the
environment that has torch.
"""

import sys

import numpy as np
import torch  # type: ignore[import-not-found]

sys.path.insert(0, ".")
from model import GPT, GPTConfig  # type: ignore[import-not-found]

arrays = dict(np.load(sys.argv[1]))
vocabulary_size, width = arrays["wte.weight"].shape
model_args = {
    "n_layer": sum(name.endswith("ln_1.bias") for name in arrays),
    "n_head": int(sys.argv[3]),
    "n_embd": width,
    "block_size": len(arrays["wpe.weight"]),
    "bias": True,
    "vocab_size": vocabulary_size,
    "dropout": 0.0,
}
model = GPT(GPTConfig(**model_args))
with torch.no_grad():
    for name, parameter in model.transformer.named_parameters():
        array = torch.from_numpy(arrays.pop(name))
        # Published kernels are (inputs, outputs), those of torch (outputs, inputs).
        is_kernel = array.ndim == 2 and name.startswith("h.")
        parameter.copy_(array.T if is_kernel else array)
assert not arrays, f"not used: {list(arrays)}"
optimizer = model.configure_optimizers(0.1, 1e-3, (0.9, 0.99), "cpu")
checkpoint = {
    "model": model.state_dict(),
    "optimizer": optimizer.state_dict(),
    "model_args": model_args,
    "iter_num": 0,
    "best_val_loss": float("inf"),
}
torch.save(checkpoint, sys.argv[2])
