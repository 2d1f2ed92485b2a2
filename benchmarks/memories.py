"""The memory workloads: their inputs, and their answers in double precision.

Product keys choose by rank, so a query whose scores nearly tie may be answered differently by rounding alone. Inputs are
drawn so that none does: at every selection the last winner is clear of the first loser.
"""

import numpy as np

SIZES = {"tokens": 2048, "width": 512, "heads": 4, "half": 128, "keys": 1024, "top": 32, "values": 256}
ULTRA = {"rank": 2, "cores": 2, "expansion": 4, "queries": 2, "eps": 1e-5}

TOPK = {"lines": 16384, "length": 1024, "top": 32}

NAMES = ["pkm-forward", "pkm-train", "ultramem-forward", "topk"]

# Least distance of the last winner from the first loser, as a share of the largest score.
MARGIN = 2e-5


def generator(seed):
    return np.random.Generator(np.random.Philox(seed))


def best(scores, count):
    """Places of the largest along the last axis, largest first, and whether they are clear of the rest."""
    order = np.argsort(-scores, axis=-1, kind="stable")[..., : count + 1]
    sorted_scores = np.take_along_axis(scores, order, axis=-1)
    gap = sorted_scores[..., count - 1] - sorted_scores[..., count]
    return order[..., :count], gap > MARGIN * np.abs(scores).max(-1)


# Product keys


def pkm_select(p, x):
    """Ids [T, H, top] and whether each position is clear."""
    s = SIZES
    q = (x @ p["query.weight"].T).reshape(-1, s["heads"], 2, s["half"])
    scores = np.einsum("thsd,hsnd->thsn", q, p["keys"], optimize=True)
    sides, clear = best(scores, s["top"])
    found = np.take_along_axis(scores, sides, axis=-1)
    grid = found[:, :, 0, :, None] + found[:, :, 1, None, :]
    winners, clear_pairs = best(grid.reshape(*grid.shape[:2], -1), s["top"])
    i = np.take_along_axis(sides[:, :, 0], winners // s["top"], axis=-1)
    j = np.take_along_axis(sides[:, :, 1], winners % s["top"], axis=-1)
    return i * s["keys"] + j, clear.all((1, 2)) & clear_pairs.all(1)


def pkm_inputs():
    s, random = SIZES, generator(3)
    p = {
        "query.weight": random.standard_normal((s["heads"] * 2 * s["half"], s["width"])) / np.sqrt(s["width"]),
        "keys": random.standard_normal((s["heads"], 2, s["keys"], s["half"])) / np.sqrt(s["half"]),
    }
    x = clear_inputs(random, p, pkm_select)
    p["values.weight"] = table(random)
    return {f"param/{name}": value for name, value in p.items()} | {"input/x": x}


def table(random):
    s = SIZES
    return random.standard_normal((s["keys"] ** 2, s["values"]), dtype=np.float32) / np.float32(np.sqrt(s["values"]))


def clear_inputs(random, p, select):
    """Rows [T, width] whose selections are clear in single precision as in double."""
    p = {name: value.astype(np.float32).astype(np.float64) for name, value in p.items() if value.dtype.kind == "f"} | {
        name: value for name, value in p.items() if value.dtype.kind != "f"}
    x = random.standard_normal((SIZES["tokens"], SIZES["width"])).astype(np.float32)
    unclear = np.arange(len(x))
    while len(unclear):
        clear = select(p, x[unclear].astype(np.float64))[1]
        unclear = unclear[~clear]
        x[unclear] = random.standard_normal((len(unclear), SIZES["width"]))
    return x


# UltraMem


def layer_norm(x, gain):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + ULTRA["eps"]) * gain


def ultra_select(p, x):
    """Virtual ids [T, H, top] with scores by core, and whether each position is clear."""
    s, u = SIZES, ULTRA
    part = s["half"] // u["rank"]
    q = (x @ p["query.weight"].T).reshape(-1, u["queries"], 2, u["rank"], part)
    q = np.repeat(layer_norm(q, p["query_norm.weight"]), s["heads"] // u["queries"], axis=1)
    scores = np.einsum("thsrd,hsrnd->thsrn", q, layer_norm(p["keys"], p["key_norm.weight"]), optimize=True)
    vectors = np.stack([p["row_vector"], p["column_vector"]], axis=1)
    sides, clear = best(np.einsum("thsrn,hsr->thsn", scores, vectors), s["top"])
    found = np.take_along_axis(scores, sides[:, :, :, None], axis=-1)
    rows, columns = found[:, :, 0], found[:, :, 1]
    grids = np.einsum("thri,chrs,thsj->thcij", rows, p["core"], columns, optimize=True)
    grids = grids.reshape(*grids.shape[:3], -1)
    winners, clear_pairs = best(grids.sum(2), s["top"])
    i = np.take_along_axis(sides[:, :, 0], winners // s["top"], axis=-1)
    j = np.take_along_axis(sides[:, :, 1], winners % s["top"], axis=-1)
    by_core = np.take_along_axis(grids, winners[:, :, None], axis=-1)
    return (i * p["keys"].shape[3] + j, by_core), clear.all((1, 2)) & clear_pairs.all(1)


def ultra_inputs():
    s, u, random = SIZES, ULTRA, generator(4)
    part, side = s["half"] // u["rank"], 2 * s["keys"]
    core = random.uniform(0, 1, (u["cores"], s["heads"], u["rank"], u["rank"]))
    left, _, right = np.linalg.svd(core.sum(0))
    vectors = [left[:, :, 0], right[:, 0]]
    sign = np.where(vectors[0].sum(1) + vectors[1].sum(1) >= 0, 1, -1)[:, None]
    p = {
        "query.weight": random.standard_normal((u["queries"] * 2 * s["half"], s["width"])) / np.sqrt(s["width"]),
        "query_norm.weight": np.ones(part),
        "key_norm.weight": np.full(part, 1 / np.sqrt(part)),
        "keys": random.standard_normal((s["heads"], 2, u["rank"], side, part)),
        "core": core,
        "row_vector": sign * vectors[0],
        "column_vector": sign * vectors[1],
    }
    x = clear_inputs(random, p, ultra_select)
    p["permutation"] = random.permutation(side * side)
    p["values.weight"] = table(random)
    width = u["expansion"] * s["values"]
    p["output.weight"] = random.standard_normal((s["width"], width)) / np.sqrt(width)
    return {f"param/memory.{name}": value for name, value in p.items()} | {"input/x": x.reshape(8, 256, s["width"])}


def topk_inputs():
    """Lines without equal elements, whose order sides may choose differently."""
    random = generator(5)
    x = random.standard_normal((TOPK["lines"], TOPK["length"])).astype(np.float32)
    unclear = np.arange(len(x))
    while len(unclear):
        unclear = unclear[(np.diff(np.sort(x[unclear], axis=1), axis=1) == 0).any(1)]
        x[unclear] = random.standard_normal((len(unclear), TOPK["length"]))
    return {"input/x": x}


def inputs(workload):
    if workload == "topk":
        return topk_inputs()
    return ultra_inputs() if workload == "ultramem-forward" else pkm_inputs()


# Answers


def merged(ids, values):
    """A row-sparse tensor with its rows in order and each once."""
    rows, place = np.unique(ids, return_inverse=True)
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(len(rows)))
    return rows, np.add.reduceat(np.asarray(values, np.float64)[order], starts, axis=0)


def summary(name, ids, values):
    """What is compared of the gradient of a large table: the touched rows, every 64th of them, and the sums of all columns."""
    rows, sums = merged(ids, values)
    return {f"{name}.touched": rows[::64], f"{name}.rows": sums[::64], f"{name}.columns": sums.sum(0)}


def summarised(outputs):
    """Outputs with row-sparse ones (`NAME.ids`, `NAME.values`) in the form that is compared."""
    found = {name: value for name, value in outputs.items() if not name.endswith((".ids", ".values"))}
    for name in outputs:
        if name.endswith(".ids"):
            name = name.removesuffix(".ids")
            found |= summary(name, outputs[f"{name}.ids"], outputs[f"{name}.values"])
    return found


def pkm_reference(p, x):
    """y, the loss mean(y²) and its gradients, by hand."""
    s = SIZES
    tokens = len(x)
    q = (x @ p["query.weight"].T).reshape(tokens, s["heads"], 2, s["half"])
    scores = np.einsum("thsd,hsnd->thsn", q, p["keys"], optimize=True)
    ids, _ = pkm_select(p, x)
    i, j = ids // s["keys"], ids % s["keys"]
    score = np.take_along_axis(scores[:, :, 0], i, -1) + np.take_along_axis(scores[:, :, 1], j, -1)
    weights = np.exp(score - score.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    rows = p["values.weight"][ids.reshape(tokens, -1)]
    y = np.einsum("tk,tkd->td", weights.reshape(tokens, -1), rows)

    dy = 2 * y / y.size
    dweights = np.einsum("td,tkd->tk", dy, rows).reshape(weights.shape)
    del rows
    dscore = weights * (dweights - (weights * dweights).sum(-1, keepdims=True))
    dscores = np.zeros_like(scores)
    t, h = np.arange(tokens)[:, None, None], np.arange(s["heads"])[None, :, None]
    np.add.at(dscores, (t, h, 0, i), dscore)
    np.add.at(dscores, (t, h, 1, j), dscore)
    dq = np.einsum("thsn,hsnd->thsd", dscores, p["keys"], optimize=True).reshape(tokens, -1)
    dvalues = weights.reshape(tokens, -1, 1) * dy[:, None, :]
    found = {
        "output/y": y,
        "output/loss": (y**2).mean(),
        "grad/input/x": dq @ p["query.weight"],
        "grad/param/query.weight": dq.T @ x,
        "grad/param/keys": np.einsum("thsn,thsd->hsnd", dscores, q, optimize=True),
    }
    return found | summary("grad/param/values.weight", ids.reshape(-1), dvalues.reshape(-1, s["values"]))


def ultra_reference(p, x):
    s, u = SIZES, ULTRA
    p = {name.removeprefix("memory."): value for name, value in p.items()}
    flat = x.reshape(-1, s["width"])
    (virtual, scores), _ = ultra_select(p, flat)
    permuted = p["permutation"][virtual]
    block, row = np.divmod(permuted, s["keys"] ** 2)
    pool = np.zeros((len(flat), u["expansion"], u["cores"], s["values"] // u["cores"]))
    t = np.arange(len(flat))
    for head in range(s["heads"]):
        for k in range(s["top"]):
            rows = p["values.weight"][row[:, head, k]].reshape(len(flat), u["cores"], -1)
            np.add.at(pool, (t, block[:, head, k]), scores[:, head, :, k, None] * rows)
    return {"output/y": (pool.reshape(len(flat), -1) @ p["output.weight"].T).reshape(x.shape)}


def answers(workload, parameters, inputs):
    if workload == "topk":
        places = np.argsort(-inputs["x"], axis=-1, kind="stable")[:, : TOPK["top"]]
        return {"output/values": np.take_along_axis(inputs["x"], places, axis=-1), "output/indices": places}
    # The table stays as it is: what is read of it is widened.
    table_name = "values.weight"
    doubles = {
        name: value.astype(np.float64) if value.dtype.kind == "f" and not name.endswith(table_name) else value
        for name, value in parameters.items()
    }
    x = inputs["x"].astype(np.float64)
    if workload == "ultramem-forward":
        return ultra_reference(doubles, x)
    found = pkm_reference(doubles, x)
    wanted = {"pkm-forward": lambda name: name == "output/y", "pkm-train": lambda name: name != "output/y"}
    return {name: value for name, value in found.items() if wanted[workload](name)}
