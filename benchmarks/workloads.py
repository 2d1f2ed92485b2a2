"""What is measured: the shapes, the numbers that every side computes with, and how a side is timed.

Inputs are made once, by a counter-based generator, and stand in a safetensors file that Millrace and its peers read.
"""

import argparse
import json
import os
import pathlib
import resource
import sys
import time

import numpy as np
from safetensors.numpy import load_file, save_file

import experts
import memories

DATA = pathlib.Path(__file__).parent / "data"

HC = {"tokens": 2048, "streams": 4, "width": 1024, "eps": 1e-5}

LM = {
    "vocabulary": 8192, "width": 256, "layers": 6, "heads": 8, "hidden": 1024, "batch": 8, "length": 256,
    "streams": 4, "eps": 1e-5, "rope_base": 10000.0,
    "learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.95, "adam_eps": 1e-8, "weight_decay": 0.1,
}

# Tables for the n-grams of orders 2 to 4, four slices each; their rows are put together and projected.
OE = {
    "vocabulary": 32000, "tokens": 4096, "orders": 4, "slices": 4, "rows": 250_000, "slice_width": 64, "width": 768,
    "learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.999, "adam_eps": 1e-8, "batches": 64,
}

# Steps whose losses are compared before anything is timed.
CHECKED_STEPS = 3

NAMES = ["hc-forward", "hc-train", "lm-train-plain", "lm-train-hc", "oe-train", *memories.NAMES, *experts.NAMES]


def decays(name):
    """Weight decay spares norm gains and the static hyper-connection tensors."""
    owner, _, last = name.rpartition(".")
    return last not in ("alpha", "beta", "bias") and not owner.endswith("norm")


# Inputs


def site(random, width, streams, reads, prefix=""):
    """A hyper-connection site away from its start values, so that every term counts."""
    start = np.concatenate([np.eye(streams)[:, reads % streams, None], np.eye(streams)], axis=1)
    return {
        f"{prefix}alpha": start + 0.05 * random.standard_normal((streams, streams + 1)),
        f"{prefix}beta": 1 + 0.05 * random.standard_normal(streams),
        f"{prefix}alpha_weight": random.standard_normal((streams + 1, width)) / np.sqrt(width),
        f"{prefix}beta_weight": random.standard_normal(width) / np.sqrt(width),
        f"{prefix}alpha_scale": np.array(0.1),
        f"{prefix}beta_scale": np.array(0.1),
    }


def hc_inputs():
    random = np.random.Generator(np.random.Philox(1))
    parameters = site(random, HC["width"], HC["streams"], 0)
    h = random.standard_normal((HC["tokens"], HC["streams"], HC["width"]))
    return {f"param/{name}": value for name, value in parameters.items()} | {"input/h": h}


def lm_inputs(hyper):
    random = np.random.Generator(np.random.Philox(2))
    width, hidden, vocabulary = LM["width"], LM["hidden"], LM["vocabulary"]

    def weight(*shape):
        return 0.02 * random.standard_normal(shape)

    parameters = {"embed.token.weight": weight(vocabulary, width)}
    for i in range(LM["layers"]):
        block = f"blocks.{i}"
        parameters[f"{block}.attention_norm.weight"] = np.ones(width)
        for name in ("query", "key", "value", "output"):
            parameters[f"{block}.attention.{name}.weight"] = weight(width, width)
        parameters[f"{block}.feed_forward_norm.weight"] = np.ones(width)
        parameters[f"{block}.feed_forward.gate.weight"] = weight(hidden, width)
        parameters[f"{block}.feed_forward.up.weight"] = weight(hidden, width)
        parameters[f"{block}.feed_forward.down.weight"] = weight(width, hidden)
        if hyper:
            parameters |= site(random, width, LM["streams"], 2 * i, f"{block}.attention_site.")
            parameters |= site(random, width, LM["streams"], 2 * i + 1, f"{block}.feed_forward_site.")
    parameters["norm.weight"] = np.ones(width)
    parameters["output.weight"] = weight(vocabulary, width)
    tokens = random.integers(0, vocabulary, (LM["batch"], LM["length"] + 1))
    inputs = {"input/tokens": tokens[:, :-1], "input/targets": tokens[:, 1:]}
    return {f"param/{name}": value for name, value in parameters.items()} | inputs


def oe_tables():
    """The modulus of every table and the weights of the newest, second newest, … token in its row numbers."""
    orders = [order for order in range(2, OE["orders"] + 1) for _ in range(OE["slices"])]
    for table, order in enumerate(orders):
        rows = OE["rows"] + 2 * table
        yield rows, [pow(OE["vocabulary"], j, rows) for j in range(order)]


def oe_rows(tokens):
    """The rows that each table is asked for, [tokens]; there is nothing before the first token."""
    past = [np.concatenate([np.zeros(j, np.int64), tokens[: len(tokens) - j]]) for j in range(OE["orders"])]
    return [sum(z * weight for z, weight in zip(past, weights)) % rows for rows, weights in oe_tables()]


def oe_inputs():
    random = np.random.Generator(np.random.Philox(3))
    tensors = {
        f"param/tables.{q}.weight": random.standard_normal((rows, OE["slice_width"]), np.float32)
        for q, (rows, _) in enumerate(oe_tables())
    }
    tensors["param/projection.weight"] = random.standard_normal((OE["width"], OE["width"])) / np.sqrt(OE["width"])
    tensors["cotangent/y"] = random.standard_normal((1, OE["tokens"], OE["width"]))
    batches = random.integers(0, OE["vocabulary"], (OE["batches"], 1, OE["tokens"]))
    # The third step looks up again what the first one changed.
    batches[2] = batches[0]
    return tensors | {"batches/input/tokens": batches}


def inputs_file(workload):
    """The workload's inputs, made if they are not there."""
    # A forward pass and its gradients start from the same numbers.
    family = workload if workload.startswith("lm") else workload.partition("-")[0]
    path = DATA / f"{family}-inputs.safetensors"
    if not path.exists():
        makers = {"hc": hc_inputs, "oe": oe_inputs}
        if workload in memories.NAMES:
            tensors = memories.inputs(workload)
        elif workload in experts.NAMES:
            tensors = experts.inputs()
        else:
            tensors = makers[family]() if family in makers else lm_inputs(workload == "lm-train-hc")
        stored = {
            name: np.asarray(value, np.int64 if value.dtype.kind == "i" else np.float32, order="C")
            for name, value in tensors.items()
        }
        save(stored, path)
    return path


def load_inputs(workload):
    """Parameters and inputs by name."""
    tensors = load_file(inputs_file(workload))
    parameters, inputs = {}, {}
    for name, value in tensors.items():
        group, _, rest = name.partition("/")
        (parameters if group == "param" else inputs)[rest] = value
    return parameters, inputs


def save(tensors, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    save_file(tensors, part)
    part.rename(path)


# A peer: one workload in one form, checked and timed


def peak_memory():
    """The most memory this process held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timings(step, seconds, repetitions):
    """Milliseconds of wall and processor time of each repetition: at least `repetitions`, and `seconds` in all."""
    wall, processor = [], []
    end = time.perf_counter() + seconds
    while len(wall) < repetitions or time.perf_counter() < end:
        before, used = time.perf_counter(), time.process_time()
        step()
        wall.append(1e3 * (time.perf_counter() - before))
        processor.append(1e3 * (time.process_time() - used))
    return wall, processor


def peer(library, forms, prepare):
    """The command of a peer.

    `prepare(workload, form, parameters, inputs)` returns the step to time and a function that gives its outputs as
    arrays, from the start; the step's first call compiles.
    """
    parser = argparse.ArgumentParser(description=f"Runs a workload with {library} and prints a JSON line.")
    parser.add_argument("workload", choices=NAMES)
    parser.add_argument("--form", choices=forms, default=forms[0])
    parser.add_argument("--seconds", type=float, default=2, help="of timing (default 2)")
    parser.add_argument("--repetitions", type=int, default=3, help="at least (default 3)")
    parser.add_argument("--outputs", type=pathlib.Path, help="writes what was computed to this safetensors file")
    parser.add_argument("--serve", action="store_true", help="measures once for every line on standard input")
    options = parser.parse_args()

    step, outputs = prepare(options.workload, options.form, *load_inputs(options.workload))
    before = time.perf_counter()
    computed = outputs()
    first = time.perf_counter() - before
    if options.outputs:
        save({name: np.asarray(value, order="C") for name, value in computed.items()}, options.outputs)
    for _ in range(2):
        step()
    steady = min(timings(step, 0, 2)[0]) / 1e3
    runs = CHECKED_STEPS + 1 if options.workload.startswith("lm") else CHECKED_STEPS if options.workload == "oe-train" else 1

    def report():
        wall, processor = timings(step, options.seconds, options.repetitions)
        checks = {name: float(np.sum(value, dtype=np.float64)) for name, value in computed.items()}
        line = {
            "name": options.workload, "peer": library, "form": options.form, "ms": wall, "cpu_ms": processor,
            "compile_seconds": max(0.0, first - runs * steady), "peak_rss_mib": peak_memory(), "checksums": checks,
        }
        print(json.dumps(line), flush=True)

    if not options.serve:
        return report()
    print(json.dumps({"ready": True}), flush=True)
    for _ in sys.stdin:
        report()
