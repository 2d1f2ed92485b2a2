"""The peers' processes beside scripts/gpu-check: they compile while other things are checked, and are timed before and
after ours. Only the standard library; torch stays in the processes.
"""

import importlib.util
import json
import os
import pathlib
import queue
import signal
import statistics
import subprocess
import sys
import threading
import time

from gpu_names import FORMS

HERE = pathlib.Path(__file__).resolve().parent
# What compiles longest has a process of its own.
ALONE = [("lm-124m-hc", "compiled"), ("lm-124m-hc", "expert")]
# Of a measurement.
SECONDS = 0.3
# The longest a process may take to start, a form to compile, and to be measured.
START_LIMIT, PREPARE_LIMIT, MEASURE_LIMIT = 120, 400, 90


class PeerFailure(Exception):
    """A process that ended, or does not answer."""


class Server:
    """A process that answers requests, one after the other."""

    def __init__(self, scratch, number, options):
        self.log = scratch / f"peers-{number}.log"
        threads = str(max(1, (os.cpu_count() or 2) // 2))
        environment = os.environ | {
            "TORCHINDUCTOR_CACHE_DIR": f"{scratch}/inductor", "TRITON_CACHE_DIR": f"{scratch}/triton",
            "TORCHINDUCTOR_COMPILE_THREADS": threads,
        }
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [*Pairs.command, "--serve", *options], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=log, text=True, start_new_session=True)
        self.lines = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()
        self.answer(START_LIMIT)

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def answer(self, limit):
        try:
            line = self.lines.get(timeout=max(0.1, limit))
        except queue.Empty:
            self.kill()
            raise PeerFailure(f"no answer in {limit:.0f} s") from None
        if line is None:
            self.kill()
            written = self.log.read_text(errors="replace").strip().splitlines()
            raise PeerFailure(f"the process ended: {written[-1][:300] if written else 'without a word'}")
        return json.loads(line)

    def ask(self, request, limit):
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except OSError as failure:
            raise PeerFailure(f"the process is gone: {failure}") from None
        return self.answer(limit)

    def signal(self, number):
        """To the process and all that it started."""
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass

    def kill(self):
        self.signal(signal.SIGKILL)


class Lane:
    """Forms (workload, form) that share a process. One that fails is started anew by the next request."""

    def __init__(self, scratch, number, forms, options):
        self.scratch, self.number, self.forms, self.options = scratch, number, forms, options
        self.server = None
        self.prepared = {}
        self.pausing = threading.Event()
        self.thread = threading.Thread(target=self.prepare, daemon=True)
        self.thread.start()

    def ask(self, request, limit):
        try:
            if self.server is None:
                self.server = Server(self.scratch, self.number, self.options)
            return request | self.server.ask(request, limit)
        except PeerFailure as failure:
            self.server = None
            return request | {"failure": str(failure)}

    def prepare(self):
        """Compiles form by form, until there is something to be timed."""
        for name, form in self.forms:
            if self.pausing.is_set():
                return
            self.prepared[name, form] = self.ask({"do": "prepare", "name": name, "form": form}, PREPARE_LIMIT)

    def pause(self, end):
        """Begins no other form; one that is not ready at `end` stands still until it is asked for."""
        self.thread.join(max(0, end - time.monotonic()))
        if self.thread.is_alive() and self.server:
            self.server.signal(signal.SIGSTOP)

    def resume(self, limit):
        """Lets a form that stands still become ready."""
        if self.thread.is_alive() and self.server:
            self.server.signal(signal.SIGCONT)
            self.thread.join(limit)
            if self.thread.is_alive():
                self.server.kill()
                self.thread.join(5)

    def close(self):
        self.pausing.set()
        if self.server:
            self.server.kill()


class Pairs:
    """Ours beside theirs, workload by workload."""

    command = [sys.executable, str(HERE / "gpu_peers.py")]

    def __init__(self, scratch, names, options):
        self.names = names
        alone = [form for form in ALONE if form[0] in names]
        rest = [(name, form) for name in names for form in FORMS[name] if (name, form) not in alone]
        # What is written plainly comes first: the other form is compared with it.
        groups = [[(name, "eager"), (name, form)] for name, form in alone] + ([rest] if rest else [])
        self.lanes = [Lane(scratch, number, group, options) for number, group in enumerate(groups)]

    def lane(self, name, form):
        return next(lane for lane in reversed(self.lanes) if (name, form) in lane.forms)

    def pause(self, limit):
        """Nothing goes on in the background after `limit` seconds: from here on times count."""
        for lane in self.lanes:
            lane.pausing.set()
        end = time.monotonic() + limit
        for lane in self.lanes:
            lane.pause(end)

    def compare(self, name, limit, ours):
        """Every form before and after ours."""
        end = time.monotonic() + limit
        for lane in {self.lane(name, form) for form in FORMS[name]}:
            lane.resume(min(MEASURE_LIMIT, limit))
        theirs = {form: dict(self.lane(name, form).prepared.get((name, form), {})) for form in FORMS[name]}

        def measure():
            for form, line in theirs.items():
                left = end - time.monotonic()
                if line.get("failure") or line.get("faults") or left < 2:
                    continue
                request = {"do": "measure", "name": name, "form": form, "seconds": SECONDS}
                found = self.lane(name, form).ask(request, min(MEASURE_LIMIT, left))
                times = line.get("times", []) + ([found["ms"]] if "ms" in found else [])
                line |= found | {"times": times}

        measure()
        mine = ours()
        measure()
        row = {"ours": mine, "theirs": theirs}
        if "real_time" not in mine:
            return row
        for line in theirs.values():
            ratios = [ms / mine["real_time"] for ms in line.get("times", [])]
            if ratios:
                line["ms"] = statistics.median(line["times"])
                line["ratio"] = {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)}
            if line.get("bytes_min", mine["bytes_min"]) != mine["bytes_min"]:
                row["fault"] = f"the peers' least bytes are {line['bytes_min']}, ours {mine['bytes_min']}"
        return row

    def machine(self, limit):
        return self.lanes[-1].ask({"do": "machine"}, limit)

    def text(self, row):
        if "failure" in row["ours"]:
            return f"ours: {row['ours']['failure']}"
        texts = [f"ours {row['ours']['real_time']:.4f} ms"]
        for form, line in row["theirs"].items():
            texts.append(
                f"{form} {line['ms']:.4f} ({line['ratio']['median']:.2f}×)" if "ratio" in line
                else f"{form}: {line.get('failure') or (line.get('faults') or ['not measured'])[0]}")
        return ", ".join(texts + ([row["fault"]] if "fault" in row else []))

    def close(self):
        for lane in self.lanes:
            lane.close()


def start(scratch, names, small):
    """The peers, which begin to compile; or `None` and why there are none."""
    wanted = ("torch", "triton", "numpy", "safetensors")
    missing = [package for package in wanted if not importlib.util.find_spec(package)]
    if missing:
        return None, f"python3 has no {missing[0]}"
    known = [name for name in names if name in FORMS]
    if not known:
        return None, "none of the workloads has a peer"
    return Pairs(scratch, known, ["--small"] if small else []), None
