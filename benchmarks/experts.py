"""The mixture of experts: its inputs, and its answers in double precision."""

import numpy as np

# The best `tokens · top` pairs of token and expert in the whole batch.
SIZES = {"tokens": 2048, "width": 384, "experts": 32, "top": 4, "hidden": 768}

NAMES = ["race-forward", "race-train"]


def inputs():
    random = np.random.Generator(np.random.Philox(4))
    width, experts, hidden = SIZES["width"], SIZES["experts"], SIZES["hidden"]
    return {
        "param/feed_forward.router.gate.weight": random.standard_normal((experts, width)) / np.sqrt(width),
        "param/feed_forward.router.gate.bias": 0.1 * random.standard_normal(experts),
        "param/feed_forward.threshold": np.array(np.inf),
        "param/feed_forward.experts.up.weight": random.standard_normal((experts, hidden, width)) / np.sqrt(width),
        "param/feed_forward.experts.down.weight": random.standard_normal((experts, width, hidden)) / np.sqrt(hidden),
        "input/x": random.standard_normal((1, SIZES["tokens"], width)),
    }


def expert_race(p, x):
    """y, the loss mean(y²), and the gradients of the loss; one expert after the other."""
    o = SIZES
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


def answers(workload, parameters, inputs):
    doubles = {name: value.astype(np.float64) for name, value in parameters.items()}
    found = expert_race(doubles, inputs["x"][0].astype(np.float64))
    names = {"output/y"} if workload == "race-forward" else found.keys() - {"output/y"}
    return {name: found[name] for name in names}
