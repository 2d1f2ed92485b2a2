"""What the workloads compute, in double precision: hyper-connections and experts in NumPy, training steps in PyTorch.

    python reference.py WORKLOAD      writes data/WORKLOAD-reference.safetensors
"""

import sys

import numpy as np
from safetensors.numpy import load_file

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


def expert_race(p, x):
    """y, the loss mean(y²), and the gradients of the loss; one expert after the other."""
    o = workloads.RACE
    p = {name.removeprefix("feed_forward."): value for name, value in p.items()}
    gate = p["router.gate.weight"]
    scores = x @ gate.T + p["router.gate.bias"]
    order = np.argsort(-scores, axis=None, kind="stable")[: o["tokens"] * o["top"]]
    token, expert = np.unravel_index(order, scores.shape)
    chosen = [np.sort(token[expert == e]) for e in range(o["experts"])]
    c = np.sqrt(2 / np.pi)
    y, kept = np.zeros_like(x), []
    for e, rows in enumerate(chosen):
        inner = x[rows] @ p["experts.up.weight"][e].T
        t = np.tanh(c * (inner + 0.044715 * inner**3))
        slope = 0.5 * (1 + t) + 0.5 * inner * (1 - t**2) * c * (1 + 3 * 0.044715 * inner**2)
        hidden = 0.5 * inner * (1 + t)
        out = hidden @ p["experts.down.weight"][e].T
        y[rows] += scores[rows, e, None] * out
        kept.append((slope, hidden, out))
    dy = 2 * y / y.size
    dscores, dx = np.zeros_like(scores), np.zeros_like(x)
    up, down = np.zeros_like(p["experts.up.weight"]), np.zeros_like(p["experts.down.weight"])
    for e, (rows, (slope, hidden, out)) in enumerate(zip(chosen, kept)):
        dscores[rows, e] = (dy[rows] * out).sum(1)
        dout = scores[rows, e, None] * dy[rows]
        down[e] = dout.T @ hidden
        dinner = (dout @ p["experts.down.weight"][e]) * slope
        up[e] = dinner.T @ x[rows]
        dx[rows] += dinner @ p["experts.up.weight"][e]
    dx += dscores @ gate
    name = "grad/param/feed_forward."
    return {
        "output/y": y[None], "output/loss": (y**2).mean(), "grad/input/x": dx[None],
        f"{name}router.gate.weight": dscores.T @ x, f"{name}router.gate.bias": dscores.sum(0),
        f"{name}experts.up.weight": up, f"{name}experts.down.weight": down,
    }


def losses(workload, parameters, inputs):
    """The losses of the first steps."""
    import torch

    import peer_pytorch

    doubles = {name: torch.tensor(value, dtype=torch.float64) for name, value in parameters.items()}
    model = peer_pytorch.LanguageModel(doubles, "paper" if workload == "lm-train-hc" else "plain")
    trainer = peer_pytorch.Trainer(model, inputs, compiled=False, fused=False)
    return {"output/losses": np.array([float(trainer.step()) for _ in range(workloads.CHECKED_STEPS + 1)])}


def reference(workload):
    """The workload's outputs in double precision, computed if they are not there."""
    path = workloads.DATA / f"{workload}-reference.safetensors"
    if not path.exists():
        parameters, inputs = workloads.load_inputs(workload)
        if workload.startswith("hc"):
            doubles = {name: value.astype(np.float64) for name, value in parameters.items()}
            found = hyper_connection(doubles, inputs["h"].astype(np.float64), workloads.HC["eps"])
            if workload == "hc-forward":
                found = {"output/h": found["output/h"]}
            else:
                del found["output/h"]
        elif workload.startswith("race"):
            doubles = {name: value.astype(np.float64) for name, value in parameters.items()}
            found = expert_race(doubles, inputs["x"][0].astype(np.float64))
            found = {"output/y": found["output/y"]} if workload == "race-forward" else found
            if workload == "race-train":
                del found["output/y"]
        else:
            found = losses(workload, parameters, inputs)
        workloads.save({name: np.asarray(value, np.float64, order="C") for name, value in found.items()}, path)
    return load_file(path)


# Largest error that counts as equal, as a share of the largest element: single precision, sums of up to 2²¹ terms.
TOLERANCE = 2e-4


def check(workload, outputs):
    """The largest absolute and relative error of `outputs` (name: array), and what is wrong, if anything is."""
    worst, absolute, faults = 0.0, 0.0, []
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
