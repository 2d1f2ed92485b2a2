"""Times steps by a GPU's own clock, and measures what the GPU can do. Without a GPU it only tries the scripts."""

import statistics
import sys
import time

import torch

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
# More than any cache holds.
SWEPT_BYTES = 512 << 20
# The least work that is timed.
LEAST_MS = 50.0


def captured(step):
    """A replay of the step as a CUDA graph."""
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(aside)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        results = step()
    # The results are kept as long as the graph is.
    return lambda: (graph.replay(), results)


def timings(step, captures=True, seconds=0.5):
    """Milliseconds of runs that find nothing in the cache, and whether they are replays of a graph."""
    if DEVICE == "cpu":
        begin = time.perf_counter()
        step()
        return [1e3 * (time.perf_counter() - begin)], False
    is_graph = captures
    if captures:
        try:
            step = captured(step)
        except Exception as failure:  # noqa: BLE001  # then the host starts every kernel, and the line says so
            print(f"gpu_timing: not captured: {failure}", file=sys.stderr)
            torch.cuda.synchronize()
            is_graph = False
    for _ in range(2):
        step()
    swept = torch.empty(SWEPT_BYTES, dtype=torch.uint8, device="cuda")

    def once():
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        swept.zero_()
        start.record()
        step()
        end.record()
        return start, end

    def milliseconds(count):
        events = [once() for _ in range(count)]
        torch.cuda.synchronize()
        return [start.elapsed_time(end) for start, end in events]

    found = milliseconds(3)
    one = statistics.median(found)
    wanted = max(LEAST_MS, 1e3 * seconds)
    return milliseconds(max(5, min(2000, int(wanted / one) + 1))), is_graph


def forget_peak():
    if DEVICE == "cuda":
        torch.cuda.reset_peak_memory_stats()


def peak_mib():
    """The most memory of the GPU that tensors held since then."""
    return torch.cuda.max_memory_allocated() / 2**20 if DEVICE == "cuda" else 0


def free():
    """Gives memory that nothing holds back to the GPU, where others need it."""
    if DEVICE == "cuda":
        torch.cuda.empty_cache()


def machine():
    """Bytes that a copy reads and writes in a second, and operations of large products by type of factors."""
    if DEVICE == "cpu":
        return {"torch": torch.__version__}
    free, _ = torch.cuda.mem_get_info()
    count = min(2 << 30, free // 8)
    source = torch.empty(count, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    copy = min(timings(lambda: target.copy_(source), seconds=0.1)[0])
    rates = {}
    precision = torch.get_float32_matmul_precision()
    for name, dtype in (("f32", torch.float32), ("bf16", torch.bfloat16)):
        extent = 8192 if dtype == torch.bfloat16 else 4096
        a, b = (torch.randn(extent, extent, device="cuda").to(dtype) for _ in range(2))
        torch.set_float32_matmul_precision("highest")
        rates[name] = 2 * extent**3 / min(timings(lambda: a @ b, seconds=0.1)[0]) * 1e3
    torch.set_float32_matmul_precision(precision)
    return {
        "gpu": torch.cuda.get_device_name(), "torch": torch.__version__,
        "copy_bytes_per_second": 2 * count / copy * 1e3, "product_flops_per_second": rates,
    }
