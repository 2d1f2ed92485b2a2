"""The workloads for GPUs in PyTorch.

    eager      as the papers write them
    compiled   the same, compiled
    expert     the best form that a user knows of: streams unrolled, sparse updates, a grouped product; compiled
    batched    experts of equal sizes as one batched product
    triton     kernels of our own (gpu_triton.py)

`prepare(workload, form, s, tensors)` gives a `Prepared`.
"""

from dataclasses import dataclass
from typing import Callable

import torch
from torch.nn import functional as F

import gpu_workloads as table
import peer_pytorch as shared

# f32 products are in f32, as ours: rounded scores choose other keys.
torch.set_float32_matmul_precision("highest")


@dataclass
class Prepared:
    """A step to time, and what shows that it is right."""

    step: Callable
    # The outputs by name, from the start.
    outputs: Callable
    # Whether it can be captured as a graph: nothing in it waits for the host.
    captures: bool = True


def maybe_compiled(function, form):
    return function if form == "eager" else torch.compile(function, dynamic=False)


def group(tensors, prefix):
    """The tensors whose names begin with `prefix`, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def named(prefix, results):
    return lambda: {f"{prefix}{name}": value for name, value in results().items()}


# The boundary of two sites


def rms_norm(u, weight, eps=1e-5):
    return u * torch.rsqrt((u * u).mean(-1, keepdim=True) + eps) * weight


def paper_boundary(p, h, y, mix, write, eps=1e-5):
    following = torch.einsum("tij,tid->tjd", mix, h.float()) + write.unsqueeze(-1) * y.float().unsqueeze(-2)
    alpha, beta = shared.paper_coefficients(p, following, eps)
    u = rms_norm(torch.einsum("ti,tid->td", alpha[..., 0], following), p["norm.weight"])
    return {"h": following.bfloat16(), "u": u.bfloat16(), "mix": alpha[..., 1:], "write": beta}


def expert_boundary(p, h, y, mix, write, eps=1e-5):
    following = shared.expert_write(mix.unbind(-1), write, h.float(), y.float())
    (read, *columns), beta = shared.expert_coefficients(p, following, eps)
    u = rms_norm(shared.expert_read(read, following), p["norm.weight"])
    return {"h": following.bfloat16(), "u": u.bfloat16(), "mix": torch.stack(columns, -1), "write": beta}


BOUNDARIES = {"eager": paper_boundary, "compiled": paper_boundary, "expert": expert_boundary}


def prepare_boundary(workload, form, s, tensors):
    x, p = group(tensors, "input/"), group(tensors, "param/")
    if form == "triton":
        import gpu_triton

        run = gpu_triton.boundary
    else:
        run = maybe_compiled(BOUNDARIES[form], form)

    def step():
        with torch.no_grad():
            return run(p, **x)

    return Prepared(step, named("output/", step))


def prepare_boundary_gradient(workload, form, s, tensors):
    x, p, cotangents = group(tensors, "input/"), group(tensors, "param/"), group(tensors, "cotangent/")

    def joint(p, x, cotangents):
        """Forward and backward in one graph: what is not needed is not computed, and nothing has to be kept."""
        _, backward = torch.func.vjp(lambda p, x: BOUNDARIES[form](p, **x), p, x)
        return backward(cotangents)

    if form == "triton":
        import gpu_triton

        run = gpu_triton.boundary_gradient
    else:
        run = maybe_compiled(joint, form)

    def step():
        return run(p, x, cotangents)

    def outputs():
        dp, dx = step()
        return {f"grad/param/{name}": g for name, g in dp.items()} | {f"grad/input/{name}": g for name, g in dx.items()}

    return Prepared(step, outputs)


# An embedding bag


def written_bag(rows, ids, weights):
    """Rows are widened as they are read, so that a compiler can make one kernel of it."""
    return (weights.unsqueeze(-1) * rows[ids].float()).sum(1)


def library_bag(rows, ids, weights):
    return F.embedding_bag(ids, rows, mode="sum", per_sample_weights=weights.to(rows.dtype)).float()


def prepare_bag(workload, form, s, tensors):
    rows, ids, weights = tensors["param/table"], tensors["input/ids"], tensors["input/weights"]
    if form == "triton":
        import gpu_triton

        run = gpu_triton.bag
    else:
        run = library_bag if form == "eager" else maybe_compiled(written_bag, form)

    def step():
        with torch.no_grad():
            return {"y": run(rows, ids, weights)}

    return Prepared(step, named("output/", step))


# Its gradients and row-wise Adagrad: each changes `rows` and `sums` and returns the gradient of the weights


def adagrad(sums, squares, gradient):
    """The row's new sum of mean squares, and the step."""
    sums = sums + squares
    return sums, table.BAG_OPTIONS["learning_rate"] * gradient / (sums.sqrt() + table.BAG_OPTIONS["eps"]).unsqueeze(-1)


def dense_step(rows, sums, ids, weights, dy):
    """With a gradient of the table's size."""
    dweights = (rows[ids] * dy.unsqueeze(1)).sum(-1)
    dense = torch.zeros_like(rows)
    dense.index_add_(0, ids.flatten(), (weights.unsqueeze(-1) * dy.unsqueeze(1)).flatten(0, 1))
    new, change = adagrad(sums, (dense * dense).mean(-1), dense)
    rows.sub_(change)
    sums.copy_(new)
    return dweights


def applied(rows, sums, found, values):
    """A step for rows that are each named once."""
    new, change = adagrad(sums[found], (values * values).mean(-1), values)
    sums[found] = new
    rows.index_add_(0, found, -change)


def sparse_step(apply):
    """The library's bag with a sparse gradient, whose equal rows are merged; how many there are, the host must know."""

    def step(rows, sums, ids, weights, dy):
        leaf, w = rows.detach().requires_grad_(), weights.detach().requires_grad_()
        F.embedding_bag(ids, leaf, mode="sum", per_sample_weights=w, sparse=True).backward(dy)
        merged = leaf.grad.coalesce()
        apply(rows, sums, merged._indices()[0], merged._values())
        return w.grad

    return step


def prepare_bag_step(workload, form, s, tensors):
    rows, ids, weights = tensors["param/table"], tensors["input/ids"], tensors["input/weights"]
    sums, dy = torch.zeros(len(rows), device=rows.device), tensors["cotangent/y"]
    if form == "triton":
        import gpu_triton

        run = gpu_triton.bag_step
    elif form == "expert":
        # The number of rows may differ from step to step.
        run = sparse_step(torch.compile(applied))
    else:
        run = maybe_compiled(dense_step, form)

    def step():
        with torch.enable_grad():
            return run(rows, sums, ids, weights, dy)

    def outputs():
        for _ in range(table.BAG_STEPS):
            dweights = step()
        return {"grad/input/weights": dweights}

    return Prepared(step, outputs, captures=form != "expert")


# Product keys


def selected(queries, keys, top):
    """Ids and weights of the winners, [T, heads · top]."""
    scores = torch.einsum("thsd,hsnd->thsn", queries, keys)
    best, sides = scores.topk(top)
    grid = best[:, :, 0, :, None] + best[:, :, 1, None, :]
    score, _, i, j = shared.product_keys(sides, top, grid)
    return (i * keys.shape[2] + j).flatten(1), torch.softmax(score, -1).flatten(1)


def prepare_lookup(workload, form, s, tensors):
    queries, values, keys = tensors["input/queries"], tensors["input/values"], tensors["param/keys"]
    bags = {"eager": library_bag, "compiled": written_bag, "expert": library_bag}

    def look_up(queries, keys, values):
        return bags[form](values, *selected(queries, keys, s["top"]))

    if form == "triton":
        import gpu_triton

        choose = torch.compile(selected, dynamic=False)

        def run(queries, keys, values):
            return gpu_triton.bag(values, *choose(queries, keys, s["top"]))
    else:
        run = maybe_compiled(look_up, form)

    def step():
        with torch.no_grad():
            return {"y": run(queries, keys, values)}

    return Prepared(step, named("output/", step))


# Experts


def prepare_experts(workload, form, s, tensors):
    x, weights = tensors["input/x"], tensors["input/weights"]
    rows = table.expert_rows(workload, s)
    ends = torch.tensor(rows, device=x.device).cumsum(0).to(torch.int32)
    grouped_mm = getattr(F, "grouped_mm", None) or torch._grouped_mm

    def looped(x, weights):
        """The host knows how many rows each expert has."""
        return torch.cat([part @ w.T for part, w in zip(x.split(rows), weights.unbind())])

    def batched(x, weights):
        return torch.bmm(x.unflatten(0, (s["experts"], s["mean"])), weights.transpose(1, 2)).flatten(0, 1)

    def grouped(x, weights):
        return grouped_mm(x, weights.transpose(1, 2), offs=ends)

    # A product of a library is not compiled.
    run = {"batched": batched, "expert": grouped}.get(form) or maybe_compiled(looped, form)

    def step():
        with torch.no_grad():
            return {"y": run(x, weights)}

    return Prepared(step, named("output/", step))


# The language model


def prepare_model(workload, form, s, tensors):
    residual = "plain" if workload == "lm-124m-plain" else "expert" if form == "expert" else "paper"
    model = shared.LanguageModel(group(tensors, "param/"), residual, s | table.MODEL_OPTIONS, torch.bfloat16)
    tokens, targets = tensors["input/tokens"], tensors["input/targets"]
    trainer = shared.Trainer(model, tokens, targets, compiled=form != "eager", capturable=tokens.is_cuda)

    def outputs():
        return {"output/losses": torch.stack([trainer.step().float() for _ in range(table.LOSSES)])}

    return Prepared(trainer.step, outputs)


MAKERS = {
    "hc-boundary": prepare_boundary, "hc-boundary-grad": prepare_boundary_gradient, "bag-forward": prepare_bag,
    "bag-step": prepare_bag_step, "pkm-lookup": prepare_lookup, "experts-even": prepare_experts,
    "experts-skewed": prepare_experts, "lm-124m-hc": prepare_model, "lm-124m-plain": prepare_model,
}


def prepare(workload, form, s, tensors):
    return MAKERS[workload](workload, form, s, tensors)
