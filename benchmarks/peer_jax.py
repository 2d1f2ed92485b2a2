"""The workloads in JAX, jitted: `paper` as the papers write them, `expert` with streams unrolled and experts grouped by hand.

    python peer_jax.py hc-train --form paper
"""

import jax
import jax.numpy as jnp
import numpy as np

import experts
import memories
import workloads


def layer_norm(x, eps):
    centred = x - x.mean(-1, keepdims=True)
    return centred * jax.lax.rsqrt((centred**2).mean(-1, keepdims=True) + eps)


def paper_site(p, h, sublayer, eps=1e-5):
    normed = layer_norm(h, eps)
    alpha = p["alpha"] + p["alpha_scale"] * jnp.tanh(normed @ p["alpha_weight"].T)
    beta = p["beta"] + p["beta_scale"] * jnp.tanh(normed @ p["beta_weight"])
    u = jnp.einsum("...i,...id->...d", alpha[..., 0], h)
    y = sublayer(u)
    return jnp.einsum("...ij,...id->...jd", alpha[..., 1:], h) + beta[..., None] * y[..., None, :]


def expert_site(p, h, sublayer, eps=1e-5):
    """The same without a matrix product: coefficients and sums over streams are written out."""
    n = h.shape[-2]
    normed = layer_norm(h, eps)
    alpha = [
        p["alpha"][:, c] + p["alpha_scale"] * jnp.tanh((normed * p["alpha_weight"][c]).sum(-1)) for c in range(n + 1)
    ]
    beta = p["beta"] + p["beta_scale"] * jnp.tanh((normed * p["beta_weight"]).sum(-1))
    streams = [h[..., i, :] for i in range(n)]
    read, *mix = [[column[..., i, None] for i in range(n)] for column in alpha]
    y = sublayer(sum(read[i] * streams[i] for i in range(n)))
    written = [sum(mix[j][i] * streams[i] for i in range(n)) + beta[..., j, None] * y for j in range(n)]
    return jnp.stack(written, axis=-2)


SITES = {"paper": paper_site, "expert": expert_site}


def prepare_hc(workload, form, parameters, inputs):
    p = {name: jnp.asarray(value) for name, value in parameters.items()}
    h = jnp.asarray(inputs["h"])
    eps, site = workloads.HC["eps"], SITES[form]

    def forward(p, h):
        return site(p, h, lambda u: layer_norm(u, eps), eps)

    if workload == "hc-forward":
        function = jax.jit(forward)
        return lambda: function(p, h).block_until_ready(), lambda: {"output/h": np.asarray(function(p, h))}

    names = ["alpha", "beta", "alpha_weight", "beta_weight"]
    fixed = {name: value for name, value in p.items() if name not in names}
    trained = {name: p[name] for name in names}

    def loss(trained, h):
        return (forward(trained | fixed, h) ** 2).mean()

    function = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))

    def outputs():
        value, (gradients, dh) = function(trained, h)
        found = {f"grad/param/{name}": np.asarray(g) for name, g in gradients.items()}
        return found | {"grad/input/h": np.asarray(dh), "output/loss": np.asarray(value)}

    return lambda: jax.block_until_ready(function(trained, h)), outputs


# The language model


def rotate(x, base):
    half = x.shape[-1] // 2
    angle = jnp.arange(x.shape[-2])[:, None] * base ** (-jnp.arange(half) / half)
    a, b = x[..., :half], x[..., half:]
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return jnp.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)


def rms_norm(x, weight):
    return x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + workloads.LM["eps"]) * weight


def attention(p, x, name):
    batch, length, width = x.shape
    heads = workloads.LM["heads"]

    def split(part):
        y = x @ p[f"{name}.{part}.weight"].T
        return y.reshape(batch, length, heads, width // heads).transpose(0, 2, 1, 3)

    q, k, v = split("query"), split("key"), split("value")
    q, k = rotate(q, workloads.LM["rope_base"]), rotate(k, workloads.LM["rope_base"])
    scores = jnp.einsum("bhtw,bhsw->bhts", q, k) / np.sqrt(width // heads).astype(np.float32)
    scores = jnp.where(jnp.tril(jnp.ones((length, length), bool)), scores, -jnp.inf)
    y = jnp.einsum("bhts,bhsw->bthw", jax.nn.softmax(scores), v).reshape(batch, length, width)
    return y @ p[f"{name}.output.weight"].T


def feed_forward(p, x, name):
    gate, up = x @ p[f"{name}.gate.weight"].T, x @ p[f"{name}.up.weight"].T
    return (jax.nn.silu(gate) * up) @ p[f"{name}.down.weight"].T


def connect(p, state, name, residual, sublayer):
    if residual == "plain":
        return state + sublayer(state)
    prefix = f"{name}."
    tensors = {key[len(prefix):]: value for key, value in p.items() if key.startswith(prefix)}
    return SITES[residual](tensors, state, sublayer, workloads.LM["eps"])


def model_loss(p, tokens, targets, residual):
    x = p["embed.token.weight"][tokens]
    plain = residual == "plain"
    state = x if plain else jnp.repeat(x[..., None, :], workloads.LM["streams"], axis=-2)
    for i in range(workloads.LM["layers"]):
        b = f"blocks.{i}"
        state = connect(p, state, f"{b}.attention_site", residual, lambda u: attention(
            p, rms_norm(u, p[f"{b}.attention_norm.weight"]), f"{b}.attention"))
        state = connect(p, state, f"{b}.feed_forward_site", residual, lambda u: feed_forward(
            p, rms_norm(u, p[f"{b}.feed_forward_norm.weight"]), f"{b}.feed_forward"))
    hidden = rms_norm(state if plain else state.sum(-2), p["norm.weight"])
    logits = hidden @ p["output.weight"].T
    picked = jnp.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
    return (jax.nn.logsumexp(logits, axis=-1) - picked).mean()


def prepare_lm(workload, form, parameters, inputs):
    residual = "plain" if workload == "lm-train-plain" else form
    o = workloads.LM
    tokens, targets = jnp.asarray(inputs["tokens"]), jnp.asarray(inputs["targets"])

    def train(p, m, v, t):
        loss, g = jax.value_and_grad(model_loss)(p, tokens, targets, residual)
        new = ({}, {}, {})
        for name, value in p.items():
            first = o["beta1"] * m[name] + (1 - o["beta1"]) * g[name]
            second = o["beta2"] * v[name] + (1 - o["beta2"]) * g[name] ** 2
            update = (first / (1 - o["beta1"] ** t)) / (jnp.sqrt(second / (1 - o["beta2"] ** t)) + o["adam_eps"])
            decay = o["weight_decay"] if workloads.decays(name) else 0.0
            value = value * (1 - o["learning_rate"] * decay) - o["learning_rate"] * update
            for group, tensor in zip(new, (value, first, second)):
                group[name] = tensor
        return *new, t + 1, loss

    function = jax.jit(train, donate_argnums=(0, 1, 2))
    p = {name: jnp.asarray(value) for name, value in parameters.items()}
    state = [p, jax.tree.map(jnp.zeros_like, p), jax.tree.map(jnp.zeros_like, p), jnp.float32(1)]

    def step():
        *state[:], loss = function(*state)
        return loss.block_until_ready()

    steps = range(workloads.CHECKED_STEPS + 1)
    return step, lambda: {"output/losses": np.array([float(step()) for _ in steps], np.float32)}


# Hashed tables


def prepare_oe(workload, form, parameters, inputs):
    # Row numbers pass 2³¹ before they are reduced.
    jax.config.update("jax_enable_x64", True)
    o = workloads.OE
    moduli = list(workloads.oe_tables())
    tables = [jnp.asarray(parameters[f"tables.{q}.weight"]) for q in range(len(moduli))]
    state = [tables, [jnp.zeros_like(table) for table in tables], [jnp.zeros_like(table) for table in tables]]
    weight, dy = jnp.asarray(parameters["projection.weight"]), jnp.asarray(inputs["y"])[0]
    batches = jnp.asarray(inputs["input/tokens"])[:, 0]

    def rows_of(tokens):
        past = [jnp.pad(tokens, (j, 0))[: len(tokens)] for j in range(o["orders"])]
        return [sum(z * weight for z, weight in zip(past, weights)) % rows for rows, weights in moduli]

    def adam(p, m, v, ids, d, t):
        """Adam for the rows that were looked up, the gradients of one row summed first."""
        used, place = jnp.unique(ids, size=len(ids), return_inverse=True, fill_value=len(p))
        g = jnp.zeros_like(d).at[place].add(d)
        first = o["beta1"] * m.at[used].get(mode="fill", fill_value=0) + (1 - o["beta1"]) * g
        second = o["beta2"] * v.at[used].get(mode="fill", fill_value=0) + (1 - o["beta2"]) * g**2
        step = (first / (1 - o["beta1"] ** t)) / (jnp.sqrt(second / (1 - o["beta2"] ** t)) + o["adam_eps"])
        moved = {"mode": "drop", "unique_indices": False}
        return (
            p.at[used].add(-o["learning_rate"] * step.astype(p.dtype), **moved),
            m.at[used].set(first.astype(p.dtype), **moved), v.at[used].set(second.astype(p.dtype), **moved))

    def train(p, m, v, t, tokens):
        rows = rows_of(tokens)
        found = jnp.concatenate([table[ids] for table, ids in zip(p, rows)], axis=1)
        y, dweight, dfound = found @ weight.T, dy.T @ found, dy @ weight
        parts = jnp.split(dfound, len(p), axis=1)
        new = [adam(*entry, t) for entry in zip(p, m, v, rows, parts)]
        return [list(group) for group in zip(*new)], y, dweight

    function = jax.jit(train, donate_argnums=(0, 1, 2))
    done = [0]

    def step():
        tokens = batches[done[0] % len(batches)]
        done[0] += 1
        state[:], y, dweight = function(*state, jnp.float32(done[0]), tokens)
        return jax.block_until_ready((y, dweight))

    def outputs():
        y, dweight = [step() for _ in range(workloads.CHECKED_STEPS)][-1]
        return {"output/y": np.asarray(y)[None], "grad/param/projection.weight": np.asarray(dweight)}

    return step, outputs


# A mixture of experts: shapes must be known, so `paper` computes every expert on every token and masks; `expert` sorts the
# pairs and leaves groups to `ragged_dot`.


def race(p, x, grouped):
    o = experts.SIZES
    scores = x @ p["router.gate.weight"].T + p["router.gate.bias"]
    _, pairs = jax.lax.top_k(jax.lax.stop_gradient(scores).ravel(), o["tokens"] * o["top"])
    if not grouped:
        mask = jnp.zeros(scores.size).at[pairs].set(1).reshape(scores.shape)
        inner = jax.nn.gelu(jnp.einsum("td,ehd->teh", x, p["experts.up.weight"]), approximate=True)
        return jnp.einsum("te,teh,edh->td", scores * mask, inner, p["experts.down.weight"])
    pairs = pairs[jnp.argsort(pairs % o["experts"])]
    token, expert = pairs // o["experts"], pairs % o["experts"]
    sizes = jnp.bincount(expert, length=o["experts"])
    inner = jax.lax.ragged_dot(x[token], p["experts.up.weight"].transpose(0, 2, 1), sizes)
    out = jax.lax.ragged_dot(jax.nn.gelu(inner, approximate=True), p["experts.down.weight"].transpose(0, 2, 1), sizes)
    return jnp.zeros_like(x).at[token].add(scores[token, expert, None] * out)


def prepare_race(workload, form, parameters, inputs):
    p = {name.removeprefix("feed_forward."): jnp.asarray(value) for name, value in parameters.items()}
    del p["threshold"]
    x = jnp.asarray(inputs["x"][0])
    if workload == "race-forward":
        function = jax.jit(lambda p, x: race(p, x, form == "expert"))
        return lambda: function(p, x).block_until_ready(), lambda: {"output/y": np.asarray(function(p, x))[None]}
    function = jax.jit(jax.value_and_grad(lambda p, x: (race(p, x, form == "expert") ** 2).mean(), argnums=(0, 1)))

    def outputs():
        loss, (of_p, of_x) = function(p, x)
        found = {"output/loss": np.asarray(loss), "grad/input/x": np.asarray(of_x)[None]}
        return found | {f"grad/param/feed_forward.{name}": np.asarray(value) for name, value in of_p.items()}

    return lambda: jax.block_until_ready(function(p, x)), outputs


# Sparse memories


def best_of_grid(sides, grid, top):
    score, winners = jax.lax.top_k(grid.reshape(*grid.shape[:-2], -1), top)
    i = jnp.take_along_axis(sides[:, :, 0], winners // top, axis=-1)
    j = jnp.take_along_axis(sides[:, :, 1], winners % top, axis=-1)
    return score, winners, i, j


def pkm(p, x, rows):
    """The look-up; `rows` are those of the winners, or a function of their ids."""
    s = memories.SIZES
    q = (x @ p["query.weight"].T).reshape(-1, s["heads"], 2, s["half"])
    scores = jnp.einsum("thsd,hsnd->thsn", q, p["keys"])
    best, sides = jax.lax.top_k(scores, s["top"])
    grid = best[:, :, 0, :, None] + best[:, :, 1, None, :]
    score, _, i, j = best_of_grid(sides, grid, s["top"])
    ids = (i * s["keys"] + j).reshape(len(x), -1)
    weights = jax.nn.softmax(score).reshape(len(x), -1)
    found = rows(ids) if callable(rows) else rows
    return jnp.einsum("tk,tkd->td", weights, found), ids


def prepare_pkm(workload, form, parameters, inputs):
    p = {name: jnp.asarray(value) for name, value in parameters.items()}
    x, table = jnp.asarray(inputs["x"]), p.pop("values.weight")

    if workload == "pkm-forward":
        function = jax.jit(lambda p, x, table: pkm(p, x, lambda ids: table[ids])[0])
        return lambda: function(p, x, table).block_until_ready(), lambda: {"output/y": np.asarray(function(p, x, table))}

    def named(loss, gradients, dx, ids, rows):
        found = {f"grad/param/{name}": np.asarray(g) for name, g in gradients.items()}
        found |= {"output/loss": np.asarray(loss), "grad/input/x": np.asarray(dx)}
        return found | {"grad/param/values.weight.ids": ids, "grad/param/values.weight.values": rows}

    # `paper` differentiates the table, and gets a gradient of its size; `expert` the rows that were found.
    if form == "paper":
        function = jax.jit(jax.value_and_grad(
            lambda p, x, table: (pkm(p, x, lambda ids: table[ids])[0] ** 2).mean(), argnums=(0, 1, 2)))

        def outputs():
            loss, (gradients, dx, dtable) = function(p, x, table)
            dtable = np.asarray(dtable)
            rows = np.abs(dtable).max(1).nonzero()[0]
            return named(loss, gradients, dx, rows, dtable[rows])

        return lambda: jax.block_until_ready(function(p, x, table)), outputs

    def sparse(p, x, table):
        ids = pkm(p, x, lambda ids: jnp.zeros((*ids.shape, 1)))[1]
        rows = table[ids]
        loss, gradients = jax.value_and_grad(
            lambda p, x, rows: (pkm(p, x, rows)[0] ** 2).mean(), argnums=(0, 1, 2))(p, x, rows)
        return loss, gradients, ids

    function = jax.jit(sparse)

    def outputs():
        loss, (gradients, dx, rows), ids = function(p, x, table)
        return named(loss, gradients, dx, np.asarray(ids).reshape(-1), np.asarray(rows).reshape(-1, rows.shape[-1]))

    return lambda: jax.block_until_ready(function(p, x, table)), outputs


def prepare_ultramem(workload, form, parameters, inputs):
    s, u = memories.SIZES, memories.ULTRA
    p = {name.removeprefix("memory."): jnp.asarray(value) for name, value in parameters.items()}
    part, n = s["half"] // u["rank"], s["keys"] ** 2

    def norm(y, name):
        return layer_norm(y, u["eps"]) * p[f"{name}.weight"]

    def forward(p, x):
        flat = x.reshape(-1, s["width"])
        q = (flat @ p["query.weight"].T).reshape(-1, u["queries"], 2, u["rank"], part)
        q = jnp.repeat(norm(q, "query_norm"), s["heads"] // u["queries"], axis=1)
        scores = jnp.einsum("thsrd,hsrnd->thsrn", q, norm(p["keys"], "key_norm"))
        vectors = jnp.stack([p["row_vector"], p["column_vector"]], axis=1)
        sides = jax.lax.top_k(jnp.einsum("thsrn,hsr->thsn", scores, vectors), s["top"])[1]
        found = jnp.take_along_axis(scores, sides[..., None, :], axis=-1)
        rows, columns = found[:, :, 0], found[:, :, 1]
        grid = jnp.einsum("thri,hrs,thsj->thij", rows, p["core"].sum(0), columns)
        _, winners, i, j = best_of_grid(sides, grid, s["top"])
        left = jnp.take_along_axis(rows, (winners // s["top"])[:, :, None], axis=-1)
        right = jnp.take_along_axis(columns, (winners % s["top"])[:, :, None], axis=-1)
        by_core = jnp.einsum("thrm,chrs,thsm->thmc", left, p["core"], right)
        virtual = p["permutation"][(i * 2 * s["keys"] + j).reshape(len(flat), -1)]
        values = p["values.weight"][virtual % n].reshape(*virtual.shape, u["cores"], -1)
        here = jax.nn.one_hot(virtual // n, u["expansion"])
        weights = by_core.reshape(len(flat), -1, u["cores"])
        pool = jnp.einsum("tkp,tkc,tkcd->tpcd", here, weights, values)
        return (pool.reshape(len(flat), -1) @ p["output.weight"].T).reshape(x.shape)

    x, function = jnp.asarray(inputs["x"]), jax.jit(forward)
    return lambda: function(p, x).block_until_ready(), lambda: {"output/y": np.asarray(function(p, x))}


def prepare_topk(workload, form, parameters, inputs):
    x = jnp.asarray(inputs["x"])
    function = jax.jit(lambda x: jax.lax.top_k(x, memories.TOPK["top"]))

    def outputs():
        values, places = function(x)
        return {"output/values": np.asarray(values), "output/indices": np.asarray(places)}

    return lambda: jax.block_until_ready(function(x)), outputs


def prepare(workload, form, parameters, inputs):
    families = {
        "hc": prepare_hc, "lm": prepare_lm, "oe": prepare_oe, "pkm": prepare_pkm, "race": prepare_race,
        "topk": prepare_topk, "ultramem": prepare_ultramem,
    }
    return families[workload.partition("-")[0]](workload, form, parameters, inputs)


if __name__ == "__main__":
    workloads.peer("jax", ["paper", "expert"], prepare)
