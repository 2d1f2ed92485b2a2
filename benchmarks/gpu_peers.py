#!/usr/bin/env python3
"""The workloads for GPUs in PyTorch and Triton: `model-bench --device cuda`'s peers.

    gpu_peers.py [WORKLOAD…] [--form FORM]            times them on this machine's GPU; a JSON line for each
    gpu_peers.py --check [WORKLOAD…] [--form FORM]    on any device: small, and compared with model-bench
    gpu_peers.py --serve                              prepares and times what standard input asks for

Wants torch, triton, numpy and safetensors. Times are the GPU's own, of one replay of a CUDA graph where the step can be
captured, after more memory was written than the cache holds; medians.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

# Everything but the JSON lines goes to standard error, whatever a library prints.
ANSWERS = os.fdopen(os.dup(1), "w") if __name__ == "__main__" else sys.stdout
if __name__ == "__main__":
    os.dup2(2, 1)

import torch  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

import gpu_forms  # noqa: E402
import gpu_timing  # noqa: E402
import gpu_workloads as table  # noqa: E402
from gpu_names import FORMS  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
# Largest ‖found − wanted‖ / ‖wanted‖ that counts as equal.
TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 2e-2}
# Where rows or factors are bf16, f32 results follow them. Losses are near each other whatever is wrong with them.
LOOSER = {"pkm-lookup": 2e-2, "lm-124m-hc": 2e-3, "lm-124m-plain": 2e-3}


def answer(line):
    print(json.dumps(line), file=ANSWERS, flush=True)


# Right


def differences(workload, found, wanted):
    """The largest relative difference, and what is wrong, if anything is."""
    worst, faults = 0.0, []
    for name, want in wanted.items():
        have = found.get(name)
        if have is None or have.shape != want.shape or have.dtype != want.dtype:
            faults.append(f"{name} is {have.dtype} {list(have.shape)}" if have is not None else f"{name} is missing")
            continue
        have, want = have.detach().double(), want.detach().to(have.device).double()
        error = float((have - want).norm() / want.norm().clamp(min=1e-30))
        worst = max(worst, error)
        tolerance = LOOSER.get(workload, TOLERANCE[wanted[name].dtype])
        if not error <= tolerance:
            faults.append(f"{name} is off by {error:.1e}, {tolerance:.0e} is allowed")
    faults += [f"{name} is not of the workload" for name in found.keys() - wanted.keys()]
    return worst, faults


def model_bench_outputs(workload, tensors, options):
    """What model-bench makes of the tensors; it refuses other names, shapes and types than its own."""
    with tempfile.TemporaryDirectory() as folder:
        inputs, outputs = f"{folder}/inputs.safetensors", f"{folder}/outputs.safetensors"
        save_file({name: value.contiguous().cpu() for name, value in tensors.items()}, inputs)
        command = [
            options.model_bench, workload, "--small", "--device", options.device, "--inputs", inputs,
            "--outputs", outputs, "--repetitions", "1", "--seconds", "0", "--no-machine",
        ]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"model-bench failed: {done.stderr.strip()[-500:]}")
        return load_file(outputs)


def check(names, options):
    """Compares every form with model-bench, small."""
    device, wrong = gpu_timing.DEVICE, 0
    for workload in names:
        s = table.sizes(workload, small=True)
        wanted = model_bench_outputs(workload, table.values(workload, s, device), options)
        kinds = {name: (value.dtype, tuple(value.shape)) for name, value in wanted.items()}
        if kinds != table.outputs(workload, s):
            raise RuntimeError(f"{workload}: model-bench writes {kinds}, the table has {table.outputs(workload, s)}")
        for form in forms(workload, options):
            line = {"name": workload, "form": form, "device": device}
            if form == "triton" and device == "cpu" and os.environ.get("TRITON_INTERPRET") != "1":
                answer(line | {"skipped": "Triton wants a GPU; TRITON_INTERPRET=1 runs its kernels on a processor"})
                continue
            try:
                prepared = gpu_forms.prepare(workload, form, s, table.values(workload, s, device))
                line["error"], line["faults"] = differences(workload, prepared.outputs(), wanted)
                wrong += bool(line["faults"])
            except Exception as failure:  # noqa: BLE001  # whatever a library throws, the others are still checked
                line["failure"] = first_line(failure)
                wrong += 1
            answer(line)
    return wrong


def first_line(failure):
    text = str(failure).strip().splitlines()
    return f"{type(failure).__name__}: {text[0][:300]}" if text else type(failure).__name__


# Fast


class Peers:
    """Compiled forms, whose tensors are made anew for each measurement, and go after it."""

    def __init__(self, small):
        self.small = small
        self.compile_seconds = {}
        self.wanted = {}

    def prepared(self, workload, form):
        s = table.sizes(workload, self.small)
        return gpu_forms.prepare(workload, form, s, table.values(workload, s, gpu_timing.DEVICE))

    def prepare(self, workload, form):
        """Compiles, and compares what is computed with the first form that was prepared."""
        before = time.perf_counter()
        prepared = self.prepared(workload, form)
        found = prepared.outputs()
        if workload not in self.wanted:
            self.wanted[workload] = {name: value.detach().cpu() for name, value in found.items()}
        error, faults = differences(workload, found, self.wanted[workload])
        self.compile_seconds[workload, form] = time.perf_counter() - before
        return {"first_seconds": self.compile_seconds[workload, form], "error": error, "faults": faults}

    def measure(self, workload, form, seconds):
        """One measurement; prepares first what was not."""
        line = {} if (workload, form) in self.compile_seconds else self.prepare(workload, form)
        if line.get("faults"):
            return line
        gpu_timing.forget_peak()
        prepared = self.prepared(workload, form)
        times, captured = gpu_timing.timings(prepared.step, prepared.captures, seconds)
        line |= {
            "ms": statistics.median(times), "min_ms": min(times), "repetitions": len(times), "graph": captured,
            "first_seconds": self.compile_seconds[workload, form],
            "peak_mib": gpu_timing.peak_mib(),
        }
        s = table.sizes(workload, self.small)
        bytes_min, flops = table.least_bytes(workload, s), table.operations(workload, s)
        if bytes_min:
            line |= {"bytes_min": bytes_min, "bytes_per_second": bytes_min / line["ms"] * 1e3}
        if flops:
            line |= {"flops": flops, "flops_per_second": flops / line["ms"] * 1e3}
        return line

    def answer(self, request):
        """The line for a request: `prepare`, `measure` or `machine`."""
        try:
            if request["do"] == "machine":
                return request | gpu_timing.machine()
            act = self.prepare if request["do"] == "prepare" else self.measure
            more = () if request["do"] == "prepare" else (request.get("seconds", 0.5),)
            return request | act(request["name"], request["form"], *more)
        except Exception as failure:  # noqa: BLE001  # a form that fails must not take the others with it
            return request | {"failure": first_line(failure)}
        finally:
            gpu_timing.free()


def forms(workload, options):
    return [form for form in FORMS[workload] if not options.form or form in options.form]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=f"of {', '.join(FORMS)}; all if none")
    parser.add_argument("--form", action="append", help="only this form; may be repeated")
    parser.add_argument("--seconds", type=float, default=0.5, help="of each measurement (default 0.5)")
    parser.add_argument("--small", action="store_true", help="small sizes: to try it, not to measure")
    parser.add_argument("--check", action="store_true", help="compares with model-bench")
    parser.add_argument("--serve", action="store_true", help="answers requests, one JSON object a line")
    parser.add_argument("--model-bench", default=str(HERE.parent / ".build/release/model-bench"))
    parser.add_argument("--device", default="interpreter", help="of model-bench in a check (default interpreter)")
    options = parser.parse_args()
    unknown = [name for name in options.workloads if name not in FORMS]
    if unknown:
        parser.error(f"there is no workload '{unknown[0]}'; there are {', '.join(FORMS)}")
    names = options.workloads or list(FORMS)
    if options.check:
        return 1 if check(names, options) else 0
    if gpu_timing.DEVICE != "cuda" and not options.small:
        parser.error("there is no GPU that torch can use; --check and --small do without one")
    peers = Peers(options.small)
    if options.serve:
        answer({"torch": torch.__version__})
        for line in sys.stdin:
            answer(peers.answer(json.loads(line)))
        return 0
    answer(peers.answer({"do": "machine"}))
    for workload in names:
        for form in forms(workload, options):
            answer(peers.answer({"do": "measure", "name": workload, "form": form, "seconds": options.seconds}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
