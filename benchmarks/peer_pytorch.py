"""The workloads in PyTorch: `eager` and `compiled` are written as the papers write them, with matrix products and a loop
over experts; `expert` unrolls the streams by hand, so that the compiler can fuse them, and computes experts as a grouped
product of sorted rows.

    python peer_pytorch.py hc-forward --form compiled
"""

import os

import torch
from torch.nn import functional as F

import experts
import memories
import workloads

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", len(os.sched_getaffinity(0)))))


def layer_norm(x, eps):
    return F.layer_norm(x, x.shape[-1:], eps=eps)


def written_norm(x, eps):
    """The same, for a compiler to fuse."""
    centred = x - x.mean(-1, keepdim=True)
    return centred * torch.rsqrt((centred * centred).mean(-1, keepdim=True) + eps)


# A hyper-connection site, in two forms: `site(p, h, sublayer)` with h [..., n, d] and p the site's tensors. Streams may
# be bf16; coefficients never are.


def paper_coefficients(p, h, eps):
    """alpha [..., n, n + 1] and beta [..., n]."""
    normed = layer_norm(h, eps)
    alpha = p["alpha"] + p["alpha_scale"] * torch.tanh(normed @ p["alpha_weight"].T)
    return alpha, p["beta"] + p["beta_scale"] * torch.tanh(normed @ p["beta_weight"])


def paper_site(p, h, sublayer, eps=1e-5):
    alpha, beta = paper_coefficients(p, h, eps)
    u = torch.einsum("...i,...id->...d", alpha[..., 0], h)
    y = sublayer(u)
    written = torch.einsum("...ij,...id->...jd", alpha[..., 1:], h) + beta.unsqueeze(-1) * y.unsqueeze(-2)
    return written.to(h.dtype)


def expert_coefficients(p, h, eps):
    """The same without a matrix product: the n + 1 columns of alpha, and beta, all [..., n]."""
    normed = written_norm(h.float(), eps)
    alpha = [
        p["alpha"][:, c] + p["alpha_scale"] * torch.tanh((normed * p["alpha_weight"][c]).sum(-1))
        for c in range(h.shape[-2] + 1)
    ]
    return alpha, p["beta"] + p["beta_scale"] * torch.tanh((normed * p["beta_weight"]).sum(-1))


def expert_write(mix, beta, h, y):
    """The new streams: `mix` has a column for each, and sums over streams are written out."""
    n = h.shape[-2]
    written = [sum(mix[j][..., i, None] * h[..., i, :] for i in range(n)) + beta[..., j, None] * y for j in range(n)]
    return torch.stack(written, dim=-2)


def expert_read(read, h):
    return sum(read[..., i, None] * h[..., i, :] for i in range(h.shape[-2]))


def expert_site(p, h, sublayer, eps=1e-5):
    (read, *mix), beta = expert_coefficients(p, h, eps)
    y = sublayer(expert_read(read, h))
    return expert_write(mix, beta, h, y).to(h.dtype)


SITES = {"paper": paper_site, "expert": expert_site}


def prepare_hc(workload, form, parameters, inputs):
    p = {name: torch.tensor(value) for name, value in parameters.items()}
    h = torch.tensor(inputs["h"])
    eps = workloads.HC["eps"]
    site, norm = (expert_site, written_norm) if form == "expert" else (paper_site, layer_norm)
    differentiated = ["alpha", "beta", "alpha_weight", "beta_weight"]

    def forward(p, h):
        return site(p, h, lambda u: norm(u, eps), eps)

    def loss(p, h):
        return (forward(p, h) ** 2).mean()

    if workload == "hc-forward":
        function = forward if form == "eager" else torch.compile(forward)

        def step():
            with torch.no_grad():
                return function(p, h)

        return step, lambda: {"output/h": step().numpy()}

    h.requires_grad_()
    for name in differentiated:
        p[name].requires_grad_()
    function = loss if form == "eager" else torch.compile(loss)

    def step():
        value = function(p, h)
        return value, torch.autograd.grad(value, [h] + [p[name] for name in differentiated])

    def outputs():
        value, gradients = step()
        names = ["grad/input/h"] + [f"grad/param/{name}" for name in differentiated]
        found = {name: g.numpy() for name, g in zip(names, gradients)}
        return found | {"output/loss": value.detach().numpy()}

    return step, outputs


# The language model


def rotate(x, base):
    """Rotary positions, halves convention; x is [batch, heads, length, head width]."""
    half = x.shape[-1] // 2
    rate = base ** (-torch.arange(half, dtype=torch.float32, device=x.device) / half)
    angle = torch.arange(x.shape[-2], dtype=torch.float32, device=x.device)[:, None] * rate
    a, b = x[..., :half], x[..., half:]
    cos, sin = angle.cos(), angle.sin()
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1).to(x.dtype)


class LanguageModel:
    """The model of the contract; `residual` is plain, paper or expert. Without `output.weight` it is tied.

    The residual state is kept in `dtype`. If that is not f32, the caller sets autocast, which makes products so too.
    """

    def __init__(self, parameters, residual, options=workloads.LM, dtype=torch.float32):
        self.p = {name: value.clone().requires_grad_() for name, value in parameters.items()}
        self.residual, self.options, self.dtype = residual, options, dtype

    def norm(self, x, name):
        return F.rms_norm(x.float(), x.shape[-1:], self.p[f"{name}.weight"], self.options["eps"])

    def linear(self, x, name):
        return F.linear(x, self.p[f"{name}.weight"])

    def attention(self, x, name):
        batch, length, width = x.shape
        heads = self.options["heads"]

        def split(part):
            return self.linear(x, f"{name}.{part}").view(batch, length, heads, width // heads).transpose(1, 2)

        q, k, v = split("query"), split("key"), split("value")
        q, k = rotate(q, self.options["rope_base"]), rotate(k, self.options["rope_base"])
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.linear(y.transpose(1, 2).reshape(batch, length, width), f"{name}.output")

    def feed_forward(self, x, name):
        gated = F.silu(self.linear(x, f"{name}.gate")) * self.linear(x, f"{name}.up")
        return self.linear(gated, f"{name}.down")

    def connect(self, state, name, sublayer):
        if self.residual == "plain":
            return state + sublayer(state)
        prefix = f"{name}."
        site = {key[len(prefix):]: value for key, value in self.p.items() if key.startswith(prefix)}
        return SITES[self.residual](site, state, sublayer, self.options["eps"])

    def loss(self, tokens, targets):
        x = F.embedding(tokens, self.p["embed.token.weight"]).to(self.dtype)
        plain = self.residual == "plain"
        state = x if plain else x.unsqueeze(-2).expand(*x.shape[:-1], self.options["streams"], x.shape[-1])
        for i in range(self.options["layers"]):
            b = f"blocks.{i}"
            state = self.connect(
                state, f"{b}.attention_site",
                lambda u: self.attention(self.norm(u, f"{b}.attention_norm"), f"{b}.attention"))
            state = self.connect(
                state, f"{b}.feed_forward_site",
                lambda u: self.feed_forward(self.norm(u, f"{b}.feed_forward_norm"), f"{b}.feed_forward"))
        hidden = self.norm(state if plain else state.sum(-2), "norm")
        logits = self.linear(hidden, "output" if "output.weight" in self.p else "embed.token")
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.view(-1))


class Trainer:
    """Steps of AdamW. With `capturable` a whole step can be captured as a CUDA graph."""

    def __init__(self, model, tokens, targets, compiled, capturable=False):
        o = model.options
        groups = [
            {"params": [p for name, p in model.p.items() if workloads.decays(name) == decays],
             "weight_decay": o["weight_decay"] if decays else 0.0}
            for decays in (True, False)
        ]
        self.optimizer = torch.optim.AdamW(
            groups, lr=o["learning_rate"], betas=(o["beta1"], o["beta2"]), eps=o["adam_eps"], fused=True,
            capturable=capturable)
        self.tokens, self.targets, self.dtype = tokens, targets, model.dtype
        self.loss = torch.compile(model.loss) if compiled else model.loss

    def step(self):
        device, narrow = self.tokens.device.type, self.dtype != torch.float32
        with torch.autocast(device, self.dtype if narrow else None, enabled=narrow, cache_enabled=False):
            loss = self.loss(self.tokens, self.targets)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return loss.detach()


def prepare_lm(workload, form, parameters, inputs):
    residual = "plain" if workload == "lm-train-plain" else ("expert" if form == "expert" else "paper")
    model = LanguageModel({name: torch.tensor(value) for name, value in parameters.items()}, residual)
    tokens, targets = torch.tensor(inputs["tokens"]), torch.tensor(inputs["targets"])
    trainer = Trainer(model, tokens, targets, compiled=form != "eager")
    steps = range(workloads.CHECKED_STEPS + 1)
    return trainer.step, lambda: {"output/losses": torch.stack([trainer.step() for _ in steps]).numpy()}


# Hashed tables


class HashedTables:
    """Lookup and projection with sparse gradients; SparseAdam for the tables, each of which is a parameter of its own."""

    def __init__(self, parameters, inputs, compiled):
        o = workloads.OE
        self.tables = [
            torch.tensor(parameters[f"tables.{q}.weight"]).requires_grad_() for q, _ in enumerate(workloads.oe_tables())
        ]
        self.weight = torch.tensor(parameters["projection.weight"]).requires_grad_()
        self.dy = torch.tensor(inputs["y"])
        self.batches = torch.tensor(inputs["input/tokens"])
        self.moduli = list(workloads.oe_tables())
        self.optimizer = torch.optim.SparseAdam(
            self.tables, lr=o["learning_rate"], betas=(o["beta1"], o["beta2"]), eps=o["adam_eps"])
        self.rows = torch.compile(self.row_numbers) if compiled else self.row_numbers
        self.project = torch.compile(self.projected) if compiled else self.projected
        self.steps = 0

    def row_numbers(self, tokens):
        past = [F.pad(tokens, (j, 0))[:, : tokens.shape[1]] for j in range(workloads.OE["orders"])]
        return [sum(z * weight for z, weight in zip(past, weights)) % rows for rows, weights in self.moduli]

    def projected(self, parts):
        return F.linear(torch.cat(parts, dim=-1), self.weight)

    def step(self):
        rows = self.rows(self.batches[self.steps % len(self.batches)])
        self.steps += 1
        # A sparse gradient is one that only the eager embedding makes: it stands outside of what is compiled.
        y = self.project([F.embedding(ids, table, sparse=True) for ids, table in zip(rows, self.tables)])
        self.optimizer.zero_grad(set_to_none=True)
        self.weight.grad = None
        y.backward(self.dy)
        self.optimizer.step()
        return y.detach()


def prepare_oe(workload, form, parameters, inputs):
    model = HashedTables(parameters, inputs, compiled=form != "eager")

    def outputs():
        y = [model.step() for _ in range(workloads.CHECKED_STEPS)][-1]
        return {"output/y": y.numpy().copy(), "grad/param/projection.weight": model.weight.grad.numpy().copy()}

    return model.step, outputs


# A mixture of experts


def race_choice(p, x):
    """Scores, and the best pairs of the batch as flat positions."""
    scores = F.linear(x, p["router.gate.weight"], p["router.gate.bias"])
    o = experts.SIZES
    return scores, torch.topk(scores.detach().flatten(), o["tokens"] * o["top"], sorted=False).indices


def looped_race(p, x):
    scores, pairs = race_choice(p, x)
    token, expert = pairs // scores.shape[1], pairs % scores.shape[1]
    y = torch.zeros_like(x)
    for e in range(scores.shape[1]):
        rows = token[expert == e]
        out = F.gelu(x[rows] @ p["experts.up.weight"][e].T, approximate="tanh") @ p["experts.down.weight"][e].T
        y = y.index_add(0, rows, scores[rows, e, None] * out)
    return y


def grouped_race(p, x):
    scores, pairs = race_choice(p, x)
    count = scores.shape[1]
    expert = pairs % count
    expert, order = torch.sort(expert)
    token = (pairs // count)[order]
    ends = torch.cumsum(torch.bincount(expert, minlength=count), 0).to(torch.int32)
    inner = F.grouped_mm(x[token], p["experts.up.weight"].transpose(1, 2), offs=ends)
    out = F.grouped_mm(F.gelu(inner, approximate="tanh"), p["experts.down.weight"].transpose(1, 2), offs=ends)
    return torch.zeros_like(x).index_add(0, token, scores[token, expert, None] * out)


def prepare_race(workload, form, parameters, inputs):
    p = {name.removeprefix("feed_forward."): torch.tensor(value) for name, value in parameters.items()}
    del p["threshold"]
    x = torch.tensor(inputs["x"][0])
    forward = grouped_race if form == "expert" else looped_race
    if form != "eager":
        forward = torch.compile(forward)
    if workload == "race-forward":

        def step():
            with torch.no_grad():
                return forward(p, x)

        return step, lambda: {"output/y": step().numpy()[None]}

    for tensor in [x, *p.values()]:
        tensor.requires_grad_()

    def train():
        for tensor in [x, *p.values()]:
            tensor.grad = None
        loss = (forward(p, x) ** 2).mean()
        loss.backward()
        return loss.detach()

    def outputs():
        found = {"output/loss": train().numpy(), "grad/input/x": x.grad.numpy()[None]}
        return found | {f"grad/param/feed_forward.{name}": tensor.grad.numpy() for name, tensor in p.items()}

    return train, outputs


# Sparse memories


def product_keys(sides, top, grid):
    """Rows and columns of the winners of a grid between the best of both sides."""
    score, winners = grid.flatten(-2).topk(top)
    i = sides[..., 0, :].gather(-1, winners // top)
    j = sides[..., 1, :].gather(-1, winners % top)
    return score, winners, i, j


def pkm(p, x, values):
    """The look-up as PyTorch does it best: a bag of embeddings, whose gradient is sparse."""
    s = memories.SIZES
    q = F.linear(x, p["query.weight"]).view(-1, s["heads"], 2, s["half"])
    scores = torch.einsum("thsd,hsnd->thsn", q, p["keys"])
    best, sides = scores.topk(s["top"])
    grid = best[:, :, 0, :, None] + best[:, :, 1, None, :]
    score, _, i, j = product_keys(sides, s["top"], grid)
    ids, weights = (i * s["keys"] + j).flatten(1), torch.softmax(score, -1).flatten(1)
    return values(ids, weights)


def bag(table, sparse):
    def look_up(ids, weights):
        return F.embedding_bag(ids, table, mode="sum", per_sample_weights=weights, sparse=sparse)

    # Sparse gradients cannot be compiled: a compiler gets all but the bag.
    return torch.compiler.disable(look_up) if sparse else look_up


def gathered(table):
    """The same written out, which a compiler may fuse."""
    return lambda ids, weights: torch.einsum("tk,tkd->td", weights, table[ids])


def prepare_pkm(workload, form, parameters, inputs):
    p = {name: torch.tensor(value) for name, value in parameters.items()}
    x = torch.tensor(inputs["x"])
    look_up = gathered if form == "compiled" else lambda table: bag(table, workload == "pkm-train")

    def forward(p, x):
        return pkm(p, x, look_up(p["values.weight"]))

    if workload == "pkm-forward":
        function = forward if form == "eager" else torch.compile(forward)

        def step():
            with torch.no_grad():
                return function(p, x)

        return step, lambda: {"output/y": step().numpy()}

    names = ["query.weight", "keys", "values.weight"]
    for tensor in [x] + [p[name] for name in names]:
        tensor.requires_grad_()
    function = forward if form == "eager" else torch.compile(forward)

    def step():
        loss = (function(p, x) ** 2).mean()
        return loss, torch.autograd.grad(loss, [x] + [p[name] for name in names])

    def outputs():
        loss, (dx, *gradients) = step()
        found = {"output/loss": loss.detach().numpy(), "grad/input/x": dx.numpy()}
        for name, gradient in zip(names, gradients):
            found |= as_rows(f"grad/param/{name}", gradient)
        return found

    return step, outputs


def as_rows(name, gradient):
    """A gradient as arrays; that of a table by the rows it touches."""
    if gradient.is_sparse:
        parts = gradient._indices()[0], gradient._values()
    elif name.endswith("values.weight"):
        rows = gradient.abs().amax(1).nonzero()[:, 0]
        parts = rows, gradient[rows]
    else:
        return {name: gradient.numpy()}
    return {f"{name}.ids": parts[0].numpy(), f"{name}.values": parts[1].numpy()}


def ultramem(p, x, pooled):
    s, u = memories.SIZES, memories.ULTRA
    part = s["half"] // u["rank"]
    q = F.linear(x, p["query.weight"]).view(-1, u["queries"], 2, u["rank"], part)

    def norm(y, name):
        return F.layer_norm(y, (part,), p[f"{name}.weight"], None, u["eps"])

    q = norm(q, "query_norm").repeat_interleave(s["heads"] // u["queries"], dim=1)
    keys = norm(p["keys"], "key_norm")
    scores = torch.einsum("thsrd,hsrnd->thsrn", q, keys)
    vectors = torch.stack([p["row_vector"], p["column_vector"]], dim=1)
    sides = torch.einsum("thsrn,hsr->thsn", scores, vectors).topk(s["top"])[1]
    found = scores.gather(-1, sides[..., None, :].expand(*sides.shape[:-1], u["rank"], s["top"]))
    rows, columns = found[:, :, 0], found[:, :, 1]
    grid = torch.einsum("thri,hrs,thsj->thij", rows, p["core"].sum(0), columns)
    _, winners, i, j = product_keys(sides, s["top"], grid)

    def winner(side, ranks):
        return side.gather(-1, ranks[:, :, None].expand(-1, -1, u["rank"], -1))

    by_core = torch.einsum(
        "thrm,chrs,thsm->thmc", winner(rows, winners // s["top"]), p["core"], winner(columns, winners % s["top"]))
    virtual = p["permutation"][(i * keys.shape[3] + j).flatten(1)]
    n = s["keys"] ** 2
    return F.linear(pooled(virtual // n, virtual % n, by_core.flatten(1, 2)), p["output.weight"])


def bags(table):
    """A bag of embeddings for every block and core: ids are half rows, weights elsewhere zero."""
    u, half = memories.ULTRA, table.view(-1, table.shape[1] // memories.ULTRA["cores"])
    blocks = torch.arange(u["expansion"])

    def pooled(block, row, scores):
        tokens, picks = row.shape
        here = (block[:, None] == blocks[:, None]).unsqueeze(2) * scores.transpose(1, 2)[:, None]
        ids = (row[:, None] * u["cores"] + torch.arange(u["cores"])[:, None])[:, None].expand(here.shape)
        sums = F.embedding_bag(
            ids.reshape(-1, picks), half, mode="sum", per_sample_weights=here.reshape(-1, picks))
        return sums.view(tokens, -1)

    return pooled


def pools(table):
    """The same written out."""
    u = memories.ULTRA

    def pooled(block, row, scores):
        values = table[row].unflatten(-1, (u["cores"], -1))
        here = F.one_hot(block, u["expansion"]).to(values.dtype)
        return torch.einsum("tkp,tkc,tkcd->tpcd", here, scores, values).flatten(1)

    return pooled


def prepare_ultramem(workload, form, parameters, inputs):
    p = {name.removeprefix("memory."): torch.tensor(value) for name, value in parameters.items()}
    x = torch.tensor(inputs["x"])
    pooled = (bags if form == "expert" else pools)(p["values.weight"])

    def forward(x):
        return ultramem(p, x.flatten(0, 1), pooled).view(x.shape)

    function = forward if form == "eager" else torch.compile(forward)

    def step():
        with torch.no_grad():
            return function(x)

    return step, lambda: {"output/y": step().numpy()}


def prepare_topk(workload, form, parameters, inputs):
    x = torch.tensor(inputs["x"])

    def largest(x):
        return x.topk(memories.TOPK["top"])

    function = largest if form == "eager" else torch.compile(largest)

    def outputs():
        values, places = function(x)
        return {"output/values": values.numpy(), "output/indices": places.numpy()}

    return lambda: function(x), outputs


def prepare(workload, form, parameters, inputs):
    families = {
        "hc": prepare_hc, "lm": prepare_lm, "oe": prepare_oe, "pkm": prepare_pkm, "race": prepare_race,
        "topk": prepare_topk, "ultramem": prepare_ultramem,
    }
    return families[workload.partition("-")[0]](workload, form, parameters, inputs)


if __name__ == "__main__":
    workloads.peer("pytorch", ["eager", "compiled", "expert"], prepare)
