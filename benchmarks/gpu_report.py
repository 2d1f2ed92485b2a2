"""What scripts/gpu-check measured, as tables, beside the goals. Only the standard library."""

# Of sizes that model-bench calls; on other machines than an H200 they say how far the way is.
COPY_GOALS = {"hc-boundary": 0.85, "bag-forward": 0.80, "bag-step": 0.55}


def ours(results):
    """Our entry for each workload: the one that was measured beside the peers, or the first."""
    found = {}
    for entry in results.get("bench", {}).get("benchmarks", []):
        if "real_time" in entry:
            beside = peers(results, entry["name"]).get("ours", {})
            found[entry["name"]] = beside if "real_time" in beside else entry
    return found


def peers(results, name):
    """What was measured of a workload beside the peers."""
    return results.get("peers", {}).get("workloads", {}).get(name, {})


def theirs(results, name):
    """The lines of the peer's forms that were timed."""
    return {form: line for form, line in peers(results, name).get("theirs", {}).items() if "ratio" in line}


def copy_rate(results):
    context = results.get("bench", {}).get("context", {})
    peers = results.get("peers", {}).get("machine", {})
    return context.get("copy_bytes_per_second") or peers.get("copy_bytes_per_second")


def goal(name, entries, lines, copy):
    """The goal of a workload: its words, what was reached, and whether that is enough; `None` where it has none."""
    entry = entries[name]
    ms, flops = entry["real_time"], entry["flops"] / entry["real_time"] * 1e3
    against = [line["ratio"]["median"] for form, line in lines.items() if form in ("compiled", "expert")]
    if name in COPY_GOALS and copy:
        share = entry["bytes_per_second"] / copy
        return f"≥ {COPY_GOALS[name]:.0%} of copy", f"{share:.0%}", share >= COPY_GOALS[name]
    if name == "lm-train-hc":
        cold = entry["compile_cold_ms"] / 1e3
        return "compiles in ≤ 1.5 s", f"{cold:.2f} s", cold <= 1.5
    if name == "hc-boundary-grad":
        return "≤ 270 µs", f"{1e3 * ms:.0f} µs", ms <= 0.270
    if name == "experts-even":
        return "≥ 600 TFLOP/s", f"{flops / 1e12:.0f}", flops >= 600e12
    if name == "experts-skewed" and "experts-even" in entries:
        more = ms / entries["experts-even"]["real_time"] - 1
        return "≤ 10% over even", f"{more:+.0%}", more <= 0.10
    if name == "pkm-lookup" and "compiled" in lines:
        launches, ratio = entry.get("launches", 0), lines["compiled"]["ratio"]["median"]
        return "≤ 3 launches, ≥ 3× compiled", f"{launches}, {ratio:.2f}×", launches <= 3 and ratio >= 3
    if name == "lm-124m-hc" and against:
        return "≥ 1.25× the best compiled", f"{min(against):.2f}×", min(against) >= 1.25
    if name == "lm-124m-plain" and "lm-124m-hc" in entries:
        more = entries["lm-124m-hc"]["real_time"] / ms - 1
        return "lm-124m-hc ≤ 4% over it", f"{more:+.1%}", more <= 0.04
    return None


def rows_as_table(header, rows):
    """Markdown whose columns stand below each other."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(cells):
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths)) + " |"

    return "\n".join([line(header), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *map(line, rows)])


def ratio_text(ratio):
    return f"{ratio['median']:.2f}× ({ratio['min']:.2f} … {ratio['max']:.2f})"


def compiling(entry):
    """Seconds from the model to loaded code, with nothing on disk and again."""
    return f"{entry['compile_cold_ms'] / 1e3:.2f} ({entry.get('compile_cached_ms', 0) / 1e3:.2f})"


def table(results):
    """Ours, the goals, and the best peer."""
    entries, copy = ours(results), copy_rate(results)
    rows = []
    for name, entry in entries.items():
        lines = theirs(results, name)
        best = min(lines, key=lambda form: lines[form]["ms"], default=None)
        share = f"{entry['bytes_per_second'] / copy:.0%}" if copy else "–"
        # Goals are for the sizes that a GPU gets.
        wanted, reached, enough = results["backend"] == "cuda" and goal(name, entries, lines, copy) or ("", "", None)
        rows.append([
            name, f"{entry['real_time']:.4f}", f"{entry['bytes_per_second'] / 1e9:.0f}", share,
            f"{entry['flops'] / entry['real_time'] / 1e9:.1f}", str(entry.get("launches", "–")), compiling(entry),
            wanted, reached, "" if enough is None else "yes" if enough else "no",
            f"{best} {lines[best]['ms']:.4f}" if best else "–", ratio_text(lines[best]["ratio"]) if best else "–",
        ])
    header = [
        "workload", "ours ms", "GB/s", "of copy", "TFLOP/s", "launches", "compile s (again)", "goal", "reached",
        "enough", "best peer, ms", "ratio (min … max)",
    ]
    return rows_as_table(header, rows)


def forms_table(results):
    """Every form of the peers."""
    rows = []
    for name in ours(results):
        for form, line in peers(results, name).get("theirs", {}).items():
            if "ratio" in line:
                graph = "" if line.get("graph") else "no"
                rows.append([
                    name, form, f"{line['ms']:.4f}", ratio_text(line["ratio"]), graph, f"{line['first_seconds']:.1f}",
                    f"{line['peak_mib']:.0f}"])
            else:
                why = line.get("failure") or (line.get("faults") or ["not measured"])[0]
                rows.append([name, form, "–", why.replace("|", "/"), "", "", ""])
    return rows_as_table(["workload", "peer", "ms", "ratio (min … max)", "graph", "first call s", "peak MiB"], rows)


def checks(results):
    """One line for each part that checks something."""
    lines = []
    for name in ("cases", "small", "sanitizer"):
        part = results.get(name, {})
        done = f"{part['passed' if 'passed' in part else 'clean']} of {part['total']}" if "total" in part else (
            part.get("skipped") or part.get("failure") or "not done")
        lines.append(f"- {name}: {done}")
    curve = results.get("curve", {})
    if curve.get("steps"):
        lines.append(
            f"- curve: {curve['steps']} training steps, largest difference from the CPU's losses "
            f"{curve['largest_difference']:.2g}")
    return "\n".join(lines + [f"- not done: {line}" for line in results.get("not_done", [])])


def machine(results):
    gpus = [device for device in results.get("machine", {}).get("devices", []) if device.get("kind") != "cpu"]
    peers, context = results.get("peers", {}).get("machine", {}), results.get("bench", {}).get("context", {})
    parts = [gpus[0]["name"] if gpus else f"no GPU ({results['backend']}, small sizes: only to try the script)"]
    if copy_rate(results):
        parts.append(f"copy {copy_rate(results) / 1e9:.0f} GB/s")
    for whose, rates in (("product", context), ("cuBLAS through torch", peers)):
        for precision, rate in rates.get("product_flops_per_second", {}).items():
            parts.append(f"{whose} in {precision} {rate / 1e12:.0f} TFLOP/s")
    if "torch" in peers:
        parts.append(f"torch {peers['torch']}")
    return ", ".join(parts)


def document(results, table):
    """The page for docs/results."""
    parts = [
        "# On a GPU", f"{machine(results)}; {results['date']}.",
        "Measured by `scripts/gpu-check`, from the folder that `scripts/gpu-pack` makes. Times are the GPU's own, of "
        "replays of a graph that find nothing in the cache; ratios say how many times as long the peer takes, measured "
        "before and after ours. Rates count the least work there is.",
        table,
    ]
    if any(theirs(results, name) for name in ours(results)):
        parts += ["## The peers", "A form whose results are not the first form's is not timed.", forms_table(results)]
    return "\n\n".join([*parts, "## Checks", checks(results)]) + "\n"
