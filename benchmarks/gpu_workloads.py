"""The workloads for GPUs, as model-bench has them: sizes, tensors, and the least work there is.

This is the only table of sizes on the peers' side. `gpu_peers.py --check` holds names, shapes and types against what
model-bench reads and writes, and scripts/gpu-check holds `least_bytes` against model-bench's `bytes_min`.
"""

import math

import torch

F32, BF16, I64 = torch.float32, torch.bfloat16, torch.int64

# Every extent as a GPU gets it, and small, with which any device is done in a moment (`model-bench --small`).
BOUNDARY = {"tokens": (8192, 64), "streams": (4, 4), "width": (4096, 32)}
BAG = {"rows": (4 << 20, 50), "width": (128, 32), "bags": (65536, 12), "looks": (32, 5)}
KEYS = {
    "queries": (16384, 12), "heads": (4, 2), "keys": (2048, 32), "half": (128, 8), "top": (32, 4), "width": (128, 16),
}
EXPERTS = {"experts": (64, 4), "mean": (256, 40), "inputs": (2048, 64), "outputs": (4096, 96)}
MODEL = {
    "vocabulary": (50304, 64), "width": (768, 32), "layers": (12, 1), "heads": (12, 2), "hidden": (2048, 85),
    "batch": (8, 1), "length": (1024, 64), "streams": (4, 4),
}

SIZES = {
    "hc-boundary": BOUNDARY, "hc-boundary-grad": BOUNDARY, "bag-forward": BAG, "bag-step": BAG, "pkm-lookup": KEYS,
    "experts-even": EXPERTS, "experts-skewed": EXPERTS, "lm-124m-hc": MODEL, "lm-124m-plain": MODEL,
}

# A model's numbers that are not sizes; those of the workloads for processors.
MODEL_OPTIONS = {
    "eps": 1e-5, "rope_base": 10000.0, "learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.95, "adam_eps": 1e-8,
    "weight_decay": 0.1,
}
# Row-wise Adagrad.
BAG_OPTIONS = {"learning_rate": 1e-3, "eps": 1e-8}
# Losses, or steps, after which a training step's results are compared.
LOSSES, BAG_STEPS = 4, 2


def sizes(workload, small=False):
    return {name: pair[1 if small else 0] for name, pair in SIZES[workload].items()}


def expert_rows(workload, s):
    """How many rows each expert has, all of them multiplied with its matrix."""
    count, mean = s["experts"], s["mean"]
    if workload == "experts-even":
        return [mean] * count
    # Halves are rounded away from zero.
    rows = [math.floor(2 * mean * i / (count - 1) + 0.5) for i in range(count)]
    rows[-1] += mean * count - sum(rows)
    return rows


# Tensors by name: (type, shape)


def site(prefix, n, d):
    return {
        f"{prefix}alpha": (F32, (n, n + 1)), f"{prefix}alpha_weight": (F32, (n + 1, d)),
        f"{prefix}beta": (F32, (n,)), f"{prefix}beta_weight": (F32, (d,)),
        f"{prefix}alpha_scale": (F32, ()), f"{prefix}beta_scale": (F32, ()),
    }


def boundary_results(s):
    t, n, d = s["tokens"], s["streams"], s["width"]
    return {"h": (BF16, (t, n, d)), "u": (BF16, (t, d)), "mix": (F32, (t, n, n)), "write": (F32, (t, n))}


def model_parameters(s, hyper):
    d, hidden = s["width"], s["hidden"]
    p = {"embed.token.weight": (F32, (s["vocabulary"], d)), "norm.weight": (F32, (d,))}
    for i in range(s["layers"]):
        block = f"blocks.{i}."
        for name in ("query", "key", "value", "output"):
            p[f"{block}attention.{name}.weight"] = (F32, (d, d))
        for name in ("gate", "up"):
            p[f"{block}feed_forward.{name}.weight"] = (F32, (hidden, d))
        p[f"{block}feed_forward.down.weight"] = (F32, (d, hidden))
        for part in ("attention", "feed_forward"):
            p[f"{block}{part}_norm.weight"] = (F32, (d,))
            if hyper:
                p |= site(f"{block}{part}_site.", s["streams"], d)
    return p


def inputs(workload, s):
    """What model-bench reads."""
    if workload.startswith("hc-boundary"):
        t, n, d = s["tokens"], s["streams"], s["width"]
        found = {
            "input/h": (BF16, (t, n, d)), "input/y": (BF16, (t, d)), "input/mix": (F32, (t, n, n)),
            "input/write": (F32, (t, n)), "param/norm.weight": (F32, (d,)),
        } | site("param/", n, d)
        if workload == "hc-boundary":
            return found
        return found | {f"cotangent/{name}": kind for name, kind in boundary_results(s).items()}
    if workload.startswith("bag"):
        looks = (s["bags"], s["looks"])
        found = {
            "param/table": (F32, (s["rows"], s["width"])), "input/ids": (I64, looks), "input/weights": (F32, looks),
        }
        return found if workload == "bag-forward" else found | {"cotangent/y": (F32, (s["bags"], s["width"]))}
    if workload == "pkm-lookup":
        return {
            "input/queries": (F32, (s["queries"], s["heads"], 2, s["half"])),
            "input/values": (BF16, (s["keys"] ** 2, s["width"])),
            "param/keys": (F32, (s["heads"], 2, s["keys"], s["half"])),
        }
    if workload.startswith("experts"):
        return {
            "input/x": (BF16, (s["experts"] * s["mean"], s["inputs"])),
            "input/weights": (BF16, (s["experts"], s["outputs"], s["inputs"])), "param/sizes": (I64, (s["experts"],)),
        }
    tokens = (I64, (s["batch"], s["length"]))
    parameters = model_parameters(s, workload == "lm-124m-hc")
    return {f"param/{name}": kind for name, kind in parameters.items()} | {
        "input/tokens": tokens, "input/targets": tokens}


def outputs(workload, s):
    """What model-bench writes."""
    if workload == "hc-boundary":
        return {f"output/{name}": kind for name, kind in boundary_results(s).items()}
    if workload == "hc-boundary-grad":
        return {f"grad/{name}": kind for name, kind in inputs("hc-boundary", s).items()}
    if workload == "bag-step":
        return {"grad/input/weights": (F32, (s["bags"], s["looks"]))}
    if workload.startswith("lm"):
        return {"output/losses": (F32, (LOSSES,))}
    rows = {"bag-forward": s.get("bags"), "pkm-lookup": s.get("queries")}
    if workload in rows:
        return {"output/y": (F32, (rows[workload], s["width"]))}
    return {"output/y": (BF16, (s["experts"] * s["mean"], s["outputs"]))}


# The least work


def size_of(kind):
    return kind[0].itemsize * math.prod(kind[1])


def least_bytes(workload, s):
    """The least a run moves; `None` for a whole training step, which is not held against a bandwidth."""
    if workload.startswith("lm"):
        return None
    if workload.startswith("bag"):
        ids = s["bags"] * s["looks"]
        rows, sums = 4 * ids * s["width"], 4 * s["bags"] * s["width"]
        if workload == "bag-forward":
            return rows + 4 * ids + 8 * ids + sums
        # Rows are read for the gradients of their weights, and read and written once more by the optimizer.
        return 3 * rows + 2 * 4 * ids + 8 * ids + 2 * 4 * ids + sums
    if workload == "pkm-lookup":
        found = s["queries"] * s["width"] * s["heads"] * s["top"] * 2
        queries = 4 * s["queries"] * s["heads"] * 2 * s["half"]
        return found + queries + 4 * s["queries"] * s["width"] + 2 * s["heads"] * s["keys"] * 2 * s["half"]
    return sum(map(size_of, [*inputs(workload, s).values(), *outputs(workload, s).values()]))


def operations(workload, s):
    """Operations of the products that a workload is measured by."""
    if not workload.startswith("experts"):
        return None
    return 2 * s["experts"] * s["mean"] * s["inputs"] * s["outputs"]


# Values


def values(workload, s, device):
    """Tensors to compute with, away from start values, so that every term counts; the same each time on a device."""
    random = torch.Generator(device).manual_seed(1)

    def normal(dtype, shape, scale=1.0):
        return (scale * torch.randn(shape, generator=random, device=device, dtype=F32)).to(dtype)

    def integers(shape, below):
        return torch.randint(below, shape, generator=random, device=device)

    def value(name, dtype, shape):
        last = name.rpartition(".")[2].rpartition("/")[2]
        if name == "param/sizes":
            return torch.tensor(expert_rows(workload, s), device=device)
        if dtype == I64:
            return integers(shape, s["rows"] if last == "ids" else s["vocabulary"])
        if last in ("mix", "write", "alpha", "beta") and not name.startswith("cotangent"):
            start = {
                "mix": torch.eye(shape[-1]), "write": torch.ones(shape[-1]), "beta": torch.ones(shape[-1]),
                "alpha": torch.eye(shape[0], shape[-1]).roll(1, 1).index_fill(1, torch.tensor([0]), 0.5),
            }[last]
            return start.to(device) + normal(F32, shape, 0.05)
        if last.endswith("_scale"):
            return torch.full(shape, 0.1, device=device)
        if name.endswith("norm.weight"):
            return 1 + normal(F32, shape, 0.05)
        if name.startswith("param/") and last != "table" or name == "input/weights" and len(shape) == 3:
            return normal(dtype, shape, shape[-1] ** -0.5)
        return normal(dtype, shape)

    return {name: value(name, *kind) for name, kind in inputs(workload, s).items()}
