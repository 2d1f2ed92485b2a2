"""What the parts of scripts/gpu-check stand on: commands that end in time, and the files that the tools write. Only the
standard library.
"""

import array
import concurrent.futures
import json
import os
import signal
import struct
import subprocess
import time

# How many commands run at a time.
JOBS = min(os.cpu_count() or 1, 8)


def run(command, limit, **more):
    """Runs a command; after `limit` seconds ends it and all that it started. Returns its code, `None` if it was ended,
    and what it wrote."""
    process = subprocess.Popen(
        [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        start_new_session=True, **more)
    try:
        output, _ = process.communicate(timeout=max(0.1, limit))
        return process.returncode, output
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        try:
            output, _ = process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            # It hangs in the kernel: nobody can wait for it.
            output = ""
        return None, output


def last_line(output):
    lines = output.strip().splitlines()
    return lines[-1][:300] if lines else ""


class Part:
    """The time a part has, and what it leaves undone."""

    def __init__(self, seconds):
        self.end = time.monotonic() + seconds
        self.undone = []

    @property
    def left(self):
        return self.end - time.monotonic()

    def run(self, name, command, **more):
        """As `run`; a command that there is no time for, or that must be ended, is undone."""
        code, output = (None, "") if self.left < 1 else run(command, self.left, **more)
        if code is None:
            self.undone.append(name)
        return code, output

    def all(self, jobs, body):
        """`body` of every job, several at a time, in the order of the jobs."""
        with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
            return list(pool.map(body, jobs))


def json_lines(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def losses(path):
    return [line["loss"] for line in json_lines(path.read_text()) if "loss" in line] if path.exists() else []


def tensors(path):
    """The tensors of a safetensors file, each a list of numbers, and whether it has been rounded to bf16."""
    data = path.read_bytes()
    start = 8 + struct.unpack("<Q", data[:8])[0]
    found = {}
    for name, entry in json.loads(data[8:start]).items():
        if name == "__metadata__":
            continue
        begin, end = (start + offset for offset in entry["data_offsets"])
        code = {"F32": "f", "F64": "d", "I64": "q", "I32": "i", "BF16": "H"}[entry["dtype"]]
        numbers = array.array(code, data[begin:end])
        if code == "H":
            numbers = array.array("f", struct.pack(f"<{len(numbers)}I", *(number << 16 for number in numbers)))
        found[name] = list(numbers)
    return found


def difference(found, wanted):
    """What is wrong with tensors, or `None`; the error is ‖found − wanted‖ / ‖wanted‖, for products may be in bf16."""
    for name, want in wanted.items():
        have = found.get(name)
        if have is None or len(have) != len(want):
            return f"{name} is missing or has another shape"
        size = sum(x * x for x in want) ** 0.5
        error = sum((x - y) ** 2 for x, y in zip(have, want)) ** 0.5 / max(size, 1e-30)
        if not error <= 2e-2:
            return f"{name} is off by {error:.1e}"
    return None
