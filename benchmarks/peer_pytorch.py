"""The workloads in PyTorch: `eager` and `compiled` are written as the paper writes them, with matrix products;
`expert` unrolls the streams by hand, so that the compiler can fuse them.

    python peer_pytorch.py hc-forward --form compiled
"""

import os

import torch
from torch.nn import functional as F

import workloads

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", len(os.sched_getaffinity(0)))))


def layer_norm(x, eps):
    return F.layer_norm(x, x.shape[-1:], eps=eps)


def written_norm(x, eps):
    """The same, for a compiler to fuse."""
    centred = x - x.mean(-1, keepdim=True)
    return centred * torch.rsqrt((centred * centred).mean(-1, keepdim=True) + eps)


# A hyper-connection site, in two forms: `site(p, h, sublayer)` with h [..., n, d] and p the site's tensors


def paper_site(p, h, sublayer, eps=1e-5):
    normed = layer_norm(h, eps)
    alpha = p["alpha"] + p["alpha_scale"] * torch.tanh(normed @ p["alpha_weight"].T)
    beta = p["beta"] + p["beta_scale"] * torch.tanh(normed @ p["beta_weight"])
    u = torch.einsum("...i,...id->...d", alpha[..., 0], h)
    y = sublayer(u)
    return torch.einsum("...ij,...id->...jd", alpha[..., 1:], h) + beta.unsqueeze(-1) * y.unsqueeze(-2)


def expert_site(p, h, sublayer, eps=1e-5):
    """The same without a matrix product: norms, coefficients and sums over streams are written out."""
    n = h.shape[-2]
    normed = written_norm(h, eps)
    alpha = [
        p["alpha"][:, c] + p["alpha_scale"] * torch.tanh((normed * p["alpha_weight"][c]).sum(-1)) for c in range(n + 1)
    ]
    beta = p["beta"] + p["beta_scale"] * torch.tanh((normed * p["beta_weight"]).sum(-1))
    streams = [h[..., i, :] for i in range(n)]
    read, *mix = [[column[..., i, None] for i in range(n)] for column in alpha]
    y = sublayer(sum(read[i] * streams[i] for i in range(n)))
    written = [sum(mix[j][i] * streams[i] for i in range(n)) + beta[..., j, None] * y for j in range(n)]
    return torch.stack(written, dim=-2)


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
    rate = base ** (-torch.arange(half, dtype=x.dtype) / half)
    angle = torch.arange(x.shape[-2], dtype=x.dtype)[:, None] * rate
    a, b = x[..., :half], x[..., half:]
    cos, sin = angle.cos(), angle.sin()
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


class LanguageModel:
    """The model of the contract; `residual` is plain, paper or expert."""

    def __init__(self, parameters, residual):
        self.p = {name: value.clone().requires_grad_() for name, value in parameters.items()}
        self.residual = residual

    def norm(self, x, name):
        return F.rms_norm(x, x.shape[-1:], self.p[f"{name}.weight"], workloads.LM["eps"])

    def linear(self, x, name):
        return F.linear(x, self.p[f"{name}.weight"])

    def attention(self, x, name):
        batch, length, width = x.shape
        heads = workloads.LM["heads"]

        def split(part):
            return self.linear(x, f"{name}.{part}").view(batch, length, heads, width // heads).transpose(1, 2)

        q, k, v = split("query"), split("key"), split("value")
        q, k = rotate(q, workloads.LM["rope_base"]), rotate(k, workloads.LM["rope_base"])
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
        return SITES[self.residual](site, state, sublayer, workloads.LM["eps"])

    def loss(self, tokens, targets):
        x = F.embedding(tokens, self.p["embed.token.weight"])
        plain = self.residual == "plain"
        state = x if plain else x.unsqueeze(-2).expand(*x.shape[:-1], workloads.LM["streams"], x.shape[-1])
        for i in range(workloads.LM["layers"]):
            b = f"blocks.{i}"
            state = self.connect(
                state, f"{b}.attention_site",
                lambda u: self.attention(self.norm(u, f"{b}.attention_norm"), f"{b}.attention"))
            state = self.connect(
                state, f"{b}.feed_forward_site",
                lambda u: self.feed_forward(self.norm(u, f"{b}.feed_forward_norm"), f"{b}.feed_forward"))
        hidden = self.norm(state if plain else state.sum(-2), "norm")
        logits = self.linear(hidden, "output")
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.view(-1))


class Trainer:
    def __init__(self, model, inputs, compiled, fused=True):
        o = workloads.LM
        groups = [
            {"params": [p for name, p in model.p.items() if workloads.decays(name) == decays],
             "weight_decay": o["weight_decay"] if decays else 0.0}
            for decays in (True, False)
        ]
        self.optimizer = torch.optim.AdamW(
            groups, lr=o["learning_rate"], betas=(o["beta1"], o["beta2"]), eps=o["adam_eps"], fused=fused)
        self.tokens, self.targets = torch.tensor(inputs["tokens"]), torch.tensor(inputs["targets"])
        self.loss = torch.compile(model.loss) if compiled else model.loss

    def step(self):
        loss = self.loss(self.tokens, self.targets)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return loss.detach()


def prepare_lm(workload, form, parameters, inputs):
    residual = "plain" if workload == "lm-train-plain" else ("expert" if form == "expert" else "paper")
    model = LanguageModel({name: torch.tensor(value) for name, value in parameters.items()}, residual)
    trainer = Trainer(model, inputs, compiled=form != "eager")
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


def prepare_oe(form, parameters, inputs):
    model = HashedTables(parameters, inputs, compiled=form != "eager")

    def outputs():
        y = [model.step() for _ in range(workloads.CHECKED_STEPS)][-1]
        return {"output/y": y.numpy().copy(), "grad/param/projection.weight": model.weight.grad.numpy().copy()}

    return model.step, outputs


def prepare(workload, form, parameters, inputs):
    if workload == "oe-train":
        return prepare_oe(form, parameters, inputs)
    return (prepare_hc if workload.startswith("hc") else prepare_lm)(workload, form, parameters, inputs)


if __name__ == "__main__":
    workloads.peer("pytorch", ["eager", "compiled", "expert"], prepare)
