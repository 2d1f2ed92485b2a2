"""What the workloads compute, in double precision: hyper-connections, hashed tables, memories and experts in NumPy, training
steps in PyTorch.

    python reference.py WORKLOAD      writes data/WORKLOAD-reference.safetensors
"""

import sys

import numpy as np
from safetensors.numpy import load_file

import experts
import memories
import workloads


def normalised(x, eps):
    centred = x - x.mean(-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(-1, keepdims=True) + eps)
    return centred / deviation, deviation


def normalised_gradient(y, deviation, dy):
    """Gradient of a LayerNorm without gain, from its result."""
    return (dy - dy.mean(-1, keepdims=True) - y * (dy * y).mean(-1, keepdims=True)) / deviation


def hyper_connection(p, h, eps):
    """Ĥ and the gradients of mean(Ĥ²); T(u) is a LayerNorm without gain."""
    normed, deviation = normalised(h, eps)
    za, zb = np.tanh(normed @ p["alpha_weight"].T), np.tanh(normed @ p["beta_weight"])
    alpha = p["alpha"] + p["alpha_scale"] * za
    beta = p["beta"] + p["beta_scale"] * zb
    read, mix = alpha[:, :, 0], alpha[:, :, 1:]
    u = np.einsum("ti,tid->td", read, h)
    y, y_deviation = normalised(u, eps)
    out = np.einsum("tij,tid->tjd", mix, h) + beta[:, :, None] * y[:, None, :]

    dout = 2 * out / out.size
    dbeta = np.einsum("tjd,td->tj", dout, y)
    du = normalised_gradient(y, y_deviation, np.einsum("tjd,tj->td", dout, beta))
    dalpha = np.concatenate([np.einsum("td,tid->ti", du, h)[:, :, None], np.einsum("tjd,tid->tij", dout, h)], axis=2)
    dza = dalpha * p["alpha_scale"] * (1 - za**2)
    dzb = dbeta * p["beta_scale"] * (1 - zb**2)
    dnormed = dza @ p["alpha_weight"] + dzb[:, :, None] * p["beta_weight"]
    dh = np.einsum("tij,tjd->tid", mix, dout) + read[:, :, None] * du[:, None, :]
    dh += normalised_gradient(normed, deviation, dnormed)
    return {
        "output/h": out,
        "output/loss": (out**2).mean(),
        "grad/input/h": dh,
        "grad/param/alpha": dalpha.sum(0),
        "grad/param/beta": dbeta.sum(0),
        "grad/param/alpha_weight": np.einsum("tic,tid->cd", dza, normed),
        "grad/param/beta_weight": np.einsum("ti,tid->d", dzb, normed),
    }


def losses(workload, parameters, inputs):
    """The losses of the first steps."""
    import torch

    import peer_pytorch

    doubles = {name: torch.tensor(value, dtype=torch.float64) for name, value in parameters.items()}
    model = peer_pytorch.LanguageModel(doubles, "paper" if workload == "lm-train-hc" else "plain")
    trainer = peer_pytorch.Trainer(model, inputs, compiled=False, fused=False)
    return {"output/losses": np.array([float(trainer.step()) for _ in range(workloads.CHECKED_STEPS + 1)])}


def over_encoding(parameters, inputs):
    """The last of the checked steps: rows looked up and projected, and before it two steps of row-sparse Adam."""
    o, steps = workloads.OE, workloads.CHECKED_STEPS
    weight = parameters["projection.weight"].astype(np.float64)
    dy = inputs["y"][0].astype(np.float64)
    batches = inputs["input/tokens"][:steps, 0]
    ids = [workloads.oe_rows(tokens) for tokens in batches]
    # Only rows that some step looks up are kept.
    tables = []
    for q in range(len(ids[0])):
        used = np.unique(np.concatenate([step[q] for step in ids]))
        value = parameters[f"tables.{q}.weight"][used].astype(np.float64)
        tables.append({"used": used, "p": value, "m": np.zeros_like(value), "v": np.zeros_like(value)})
    for t, step in enumerate(ids, start=1):
        places = [np.searchsorted(table["used"], rows) for table, rows in zip(tables, step)]
        found = np.concatenate([table["p"][at] for table, at in zip(tables, places)], axis=1)
        y = found @ weight.T
        dfound = dy @ weight
        for q, (table, at) in enumerate(zip(tables, places)):
            g = np.zeros_like(table["p"])
            np.add.at(g, at, dfound[:, q * o["slice_width"]:(q + 1) * o["slice_width"]])
            hit = np.unique(at)
            m = o["beta1"] * table["m"][hit] + (1 - o["beta1"]) * g[hit]
            v = o["beta2"] * table["v"][hit] + (1 - o["beta2"]) * g[hit] ** 2
            update = (m / (1 - o["beta1"] ** t)) / (np.sqrt(v / (1 - o["beta2"] ** t)) + o["adam_eps"])
            table["p"][hit] -= o["learning_rate"] * update
            table["m"][hit], table["v"][hit] = m, v
    return {"output/y": y[None], "grad/param/projection.weight": dy.T @ found}


def reference(workload):
    """The workload's outputs in double precision, computed if they are not there."""
    path = workloads.DATA / f"{workload}-reference.safetensors"
    if not path.exists():
        parameters, inputs = workloads.load_inputs(workload)
        if workload in memories.NAMES:
            found = memories.answers(workload, parameters, inputs)
        elif workload.startswith("hc"):
            doubles = {name: value.astype(np.float64) for name, value in parameters.items()}
            found = hyper_connection(doubles, inputs["h"].astype(np.float64), workloads.HC["eps"])
            if workload == "hc-forward":
                found = {"output/h": found["output/h"]}
            else:
                del found["output/h"]
        elif workload == "oe-train":
            found = over_encoding(parameters, inputs)
        elif workload in experts.NAMES:
            found = experts.answers(workload, parameters, inputs)
        else:
            found = losses(workload, parameters, inputs)
        workloads.save({name: np.asarray(value, np.float64, order="C") for name, value in found.items()}, path)
    return load_file(path)


# Largest error that counts as equal, as a share of the largest element: single precision, sums of up to 2²¹ terms.
TOLERANCE = 2e-4


def check(workload, outputs):
    """The largest absolute and relative error of `outputs` (name: array), and what is wrong, if anything is."""
    worst, absolute, faults = 0.0, 0.0, []
    outputs = memories.summarised(outputs)
    for name, want in reference(workload).items():
        found = outputs.get(name)
        if found is None or found.size != want.size:
            faults.append(f"{name} is missing or has another shape")
            continue
        error = float(np.abs(found.astype(np.float64).reshape(want.shape) - want).max())
        share = error / max(float(np.abs(want).max()), 1e-300)
        worst, absolute = max(worst, share), max(absolute, error)
        if not share <= TOLERANCE:
            faults.append(f"{name} is off by {share:.1e} of its largest element")
    return {"absolute": absolute, "relative": worst, "faults": faults}


if __name__ == "__main__":
    for name, value in reference(sys.argv[1]).items():
        print(name, value.shape, float(value.sum()))
