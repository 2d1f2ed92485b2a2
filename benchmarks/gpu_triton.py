"""Kernels of our own in Triton, as short as a user who knows the workload would write them.

TRITON_INTERPRET=1 runs them on a processor: that is how they are tried where there is no GPU.
"""

import torch
import triton
import triton.language as tl

import gpu_workloads as table

# Programs that share the sums over tokens, of which there are a multiple; each makes one part of them.
PARTS = 64


# An embedding bag: a program for each bag


@triton.jit
def bag_kernel(rows, ids, weights, y, LOOKS: tl.constexpr, WIDTH: tl.constexpr, TILE: tl.constexpr):
    bag = tl.program_id(0).to(tl.int64)
    d = tl.arange(0, WIDTH)
    k = tl.arange(0, TILE)
    total = tl.zeros([WIDTH], tl.float32)
    for start in range(0, LOOKS, TILE):
        inside = start + k < LOOKS
        row = tl.load(ids + bag * LOOKS + start + k, mask=inside, other=0)
        weight = tl.load(weights + bag * LOOKS + start + k, mask=inside, other=0.0)
        values = tl.load(rows + row[:, None] * WIDTH + d[None, :], mask=inside[:, None], other=0.0).to(tl.float32)
        total += tl.sum(weight[:, None] * values, 0)
    tl.store(y + bag * WIDTH + d, total)


def bag(rows, ids, weights):
    width = rows.shape[1]
    y = torch.empty(len(ids), width, device=rows.device)
    bag_kernel[(len(ids),)](rows, ids, weights, y, ids.shape[1], width, 16, num_warps=2)
    return y


# Its gradients, and row-wise Adagrad in the order of the rows: no atomics, the same sums each time


@triton.jit
def weight_gradient_kernel(rows, ids, dy, dweights, LOOKS: tl.constexpr, WIDTH: tl.constexpr, TILE: tl.constexpr):
    bag = tl.program_id(0).to(tl.int64)
    d = tl.arange(0, WIDTH)
    k = tl.arange(0, TILE)
    upstream = tl.load(dy + bag * WIDTH + d)
    for start in range(0, LOOKS, TILE):
        inside = start + k < LOOKS
        row = tl.load(ids + bag * LOOKS + start + k, mask=inside, other=0)
        values = tl.load(rows + row[:, None] * WIDTH + d[None, :], mask=inside[:, None], other=0.0)
        tl.store(dweights + bag * LOOKS + start + k, tl.sum(values * upstream[None, :], 1), mask=inside)


@triton.jit
def adagrad_kernel(
    rows, sums, sorted_ids, places, weights, dy, count, rate, eps,
    LOOKS: tl.constexpr, WIDTH: tl.constexpr, TILE: tl.constexpr,
):
    """Each place of the sorted ids at which another row begins adds up what belongs to the row, and updates it."""
    at = tl.program_id(0).to(tl.int64) * TILE + tl.arange(0, TILE)
    d = tl.arange(0, WIDTH)
    row = tl.load(sorted_ids + at, mask=at < count, other=-1)
    before = tl.load(sorted_ids + at - 1, mask=(at > 0) & (at < count), other=-1)
    first = (row != before) & (at < count)
    gradient = tl.zeros([TILE, WIDTH], tl.float32)
    here = first
    offset = 0
    while tl.max(here.to(tl.int32), 0) > 0:
        place = tl.load(places + at + offset, mask=here, other=0)
        weight = tl.load(weights + place, mask=here, other=0.0)
        upstream = tl.load(dy + (place // LOOKS)[:, None] * WIDTH + d[None, :], mask=here[:, None], other=0.0)
        gradient += weight[:, None] * upstream
        offset += 1
        following = tl.load(sorted_ids + at + offset, mask=here & (at + offset < count), other=-1)
        here = here & (following == row)
    total = tl.load(sums + row, mask=first, other=1.0) + tl.sum(gradient * gradient, 1) / WIDTH
    tl.store(sums + row, total, mask=first)
    there = rows + row[:, None] * WIDTH + d[None, :]
    old = tl.load(there, mask=first[:, None], other=0.0)
    tl.store(there, old - rate * gradient / (tl.sqrt(total) + eps)[:, None], mask=first[:, None])


def bag_step(rows, sums, ids, weights, dy):
    looks, width = ids.shape[1], rows.shape[1]
    dweights = torch.empty_like(weights)
    weight_gradient_kernel[(len(ids),)](rows, ids, dy, dweights, looks, width, 16, num_warps=2)
    sorted_ids, places = ids.flatten().to(torch.int32).sort()
    tile = 8
    adagrad_kernel[(triton.cdiv(ids.numel(), tile),)](
        rows, sums, sorted_ids, places, weights, dy, ids.numel(), table.BAG_OPTIONS["learning_rate"],
        table.BAG_OPTIONS["eps"], looks, width, tile, num_warps=2)
    return dweights


# The boundary of two hyper-connection sites: a program for each token, whose streams stay in registers


@triton.jit
def mixed(h, y, mix, write, token, d, N: tl.constexpr, WIDTH: tl.constexpr):
    """The new streams [N, len(d)] of a token."""
    j = tl.arange(0, N)
    out = tl.load(y + token * WIDTH + d).to(tl.float32)
    streams = tl.load(write + token * N + j)[:, None] * out[None, :]
    for i in tl.static_range(N):
        old = tl.load(h + (token * N + i) * WIDTH + d).to(tl.float32)
        streams += tl.load(mix + (token * N + i) * N + j)[:, None] * old[None, :]
    return streams


@triton.jit
def tanh(x):
    return 2 * tl.sigmoid(2 * x) - 1


@triton.jit
def boundary_kernel(
    h, y, mix, write, alpha, alpha_scale, alpha_weight, beta, beta_scale, beta_weight, gain,
    new_h, u, new_mix, new_write, eps, N: tl.constexpr, WIDTH: tl.constexpr,
):
    token = tl.program_id(0).to(tl.int64)
    d, j = tl.arange(0, WIDTH), tl.arange(0, N)
    streams = mixed(h, y, mix, write, token, d, N, WIDTH)
    tl.store(new_h + (token * N + j[:, None]) * WIDTH + d[None, :], streams.to(tl.bfloat16))
    mean = tl.sum(streams, 1) / WIDTH
    centred = streams - mean[:, None]
    deviation = tl.rsqrt(tl.sum(centred * centred, 1) / WIDTH + eps)
    scale = tl.load(alpha_scale)
    weight = tl.load(alpha_weight + d)
    z = tl.sum(centred * weight[None, :], 1) * deviation
    read = tl.load(alpha + j * (N + 1)) + scale * tanh(z)
    for c in tl.static_range(N):
        weight = tl.load(alpha_weight + (c + 1) * WIDTH + d)
        z = tl.sum(centred * weight[None, :], 1) * deviation
        tl.store(new_mix + (token * N + j) * N + c, tl.load(alpha + j * (N + 1) + c + 1) + scale * tanh(z))
    z = tl.sum(centred * tl.load(beta_weight + d)[None, :], 1) * deviation
    tl.store(new_write + token * N + j, tl.load(beta + j) + tl.load(beta_scale) * tanh(z))
    v = tl.sum(read[:, None] * streams, 0)
    normed = v * tl.rsqrt(tl.sum(v * v, 0) / WIDTH + eps) * tl.load(gain + d)
    tl.store(u + token * WIDTH + d, normed.to(tl.bfloat16))


def boundary(p, h, y, mix, write, eps=1e-5):
    tokens, n, width = h.shape
    found = {
        "h": torch.empty_like(h), "u": torch.empty_like(y), "mix": torch.empty_like(mix),
        "write": torch.empty_like(write),
    }
    boundary_kernel[(tokens,)](
        h, y, mix, write, p["alpha"], p["alpha_scale"], p["alpha_weight"], p["beta"], p["beta_scale"], p["beta_weight"],
        p["norm.weight"], found["h"], found["u"], found["mix"], found["write"], eps, n, width,
        num_warps=max(1, min(16, width // 256)))
    return found


# Its gradients. The first kernel does a token a program and leaves what the sums over tokens need, [T, N] numbers each:
# the means, the deviations, dz by weight row, and v's factor; the second adds up, block of columns by block.


@triton.jit
def boundary_gradient_kernel(
    h, y, mix, write, alpha, alpha_scale, alpha_weight, beta_scale, beta_weight, gain, dh_new, du, dmix_new, dwrite_new,
    dh, dy, dmix, dwrite, means, deviations, tanhs, dzs, reads, dreads, factors, eps,
    N: tl.constexpr, WIDTH: tl.constexpr,
):
    token = tl.program_id(0).to(tl.int64)
    d, j = tl.arange(0, WIDTH), tl.arange(0, N)
    # Of the tables [N, WIDTH] only two live at a time: the streams without their means, and the sum of gradients.
    centred = mixed(h, y, mix, write, token, d, N, WIDTH)
    mean = tl.sum(centred, 1) / WIDTH
    centred -= mean[:, None]
    deviation = tl.rsqrt(tl.sum(centred * centred, 1) / WIDTH + eps)
    a_scale, b_scale = tl.load(alpha_scale), tl.load(beta_scale)

    # u = v · factor · gain with v read from the streams
    weight = tl.load(alpha_weight + d)
    t = tanh(tl.sum(centred * weight[None, :], 1) * deviation)
    read = tl.load(alpha + j * (N + 1)) + a_scale * t
    v = tl.sum(read[:, None] * centred, 0) + tl.sum(read * mean, 0)
    factor = tl.rsqrt(tl.sum(v * v, 0) / WIDTH + eps)
    dv = tl.load(du + token * WIDTH + d).to(tl.float32) * tl.load(gain + d)
    dv = factor * dv - v * (factor * factor * factor / WIDTH) * tl.sum(dv * v, 0)
    dread = tl.sum(dv[None, :] * centred, 1) + mean * tl.sum(dv, 0)
    tl.store(reads + token * N + j, read)
    tl.store(dreads + token * N + j, dread)
    tl.store(factors + token, factor)
    tl.store(means + token * N + j, mean)
    tl.store(deviations + token * N + j, deviation)

    # The rows of weights one after the other: read, mix, write. dnormed = Σ dz · weight
    out = (token * N + j) * (N + 2)
    dz = dread * a_scale * (1 - t * t)
    tl.store(tanhs + out, t)
    tl.store(dzs + out, dz)
    dnormed = dz[:, None] * weight[None, :]
    # Not unrolled, or the weights' rows would all be loaded ahead and fill the registers.
    for c in range(1, N + 1):
        weight = tl.load(alpha_weight + c * WIDTH + d)
        t = tanh(tl.sum(centred * weight[None, :], 1) * deviation)
        dz = tl.load(dmix_new + (token * N + j) * N + c - 1) * a_scale * (1 - t * t)
        tl.store(tanhs + out + c, t)
        tl.store(dzs + out + c, dz)
        dnormed += dz[:, None] * weight[None, :]
    weight = tl.load(beta_weight + d)
    t = tanh(tl.sum(centred * weight[None, :], 1) * deviation)
    dz = tl.load(dwrite_new + token * N + j) * b_scale * (1 - t * t)
    tl.store(tanhs + out + N + 1, t)
    tl.store(dzs + out + N + 1, dz)
    dnormed += dz[:, None] * weight[None, :]
    # normed = centred · deviation
    along = tl.sum(dnormed * centred, 1) * deviation * deviation / WIDTH
    dstreams = deviation[:, None] * (dnormed - tl.sum(dnormed, 1)[:, None] / WIDTH - centred * along[:, None])
    dstreams += tl.load(dh_new + (token * N + j[:, None]) * WIDTH + d[None, :]).to(tl.float32)
    dstreams += read[:, None] * dv[None, :]

    out_y = tl.load(y + token * WIDTH + d).to(tl.float32)
    tl.store(dwrite + token * N + j, tl.sum(dstreams * out_y[None, :], 1))
    tl.store(dy + token * WIDTH + d, tl.sum(tl.load(write + token * N + j)[:, None] * dstreams, 0).to(tl.bfloat16))
    for i in tl.static_range(N):
        place = (token * N + i) * WIDTH + d
        row = (token * N + i) * N + j
        tl.store(dmix + row, tl.sum(dstreams * tl.load(h + place).to(tl.float32)[None, :], 1))
        tl.store(dh + place, tl.sum(tl.load(mix + row)[:, None] * dstreams, 0).to(tl.bfloat16))


@triton.jit
def boundary_sums_kernel(
    h, y, mix, write, du, means, deviations, dzs, reads, factors, sums, tokens,
    N: tl.constexpr, WIDTH: tl.constexpr, BLOCK: tl.constexpr, PARTS: tl.constexpr,
):
    """Of some columns, and every PARTS-th token: the gradients of N + 2 weights' rows and of the gain."""
    d, j = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK), tl.arange(0, N)
    part = tl.program_id(1).to(tl.int64)
    c = tl.arange(0, 2 * N)
    weights = tl.zeros([2 * N, BLOCK], tl.float32)
    gain = tl.zeros([BLOCK], tl.float32)
    for step in range(0, tokens // PARTS):
        token = step * PARTS + part
        streams = mixed(h, y, mix, write, token, d, N, WIDTH)
        at = token * N + j
        v = tl.sum(tl.load(reads + at)[:, None] * streams, 0)
        gain += tl.load(du + token * WIDTH + d).to(tl.float32) * v * tl.load(factors + token)
        normed = (streams - tl.load(means + at)[:, None]) * tl.load(deviations + at)[:, None]
        dz = tl.load(dzs + at[None, :] * (N + 2) + c[:, None], mask=c[:, None] < N + 2, other=0.0)
        weights += tl.sum(dz[:, :, None] * normed[None, :, :], 1)
    out = sums + part * (N + 3) * WIDTH + d
    tl.store(out[None, :] + c[:, None] * WIDTH, weights, mask=c[:, None] < N + 2)
    tl.store(out + (N + 2) * WIDTH, gain)


def boundary_gradient(p, x, cotangents, eps=1e-5):
    h, y, mix, write = x["h"], x["y"], x["mix"], x["write"]
    tokens, n, width = h.shape

    def numbers(*shape):
        return torch.empty(shape, device=h.device)

    dx = {name: torch.empty_like(value) for name, value in x.items()}
    means, deviations, reads, dreads = (numbers(tokens, n) for _ in range(4))
    factors = numbers(tokens)
    tanhs, dzs = numbers(tokens, n, n + 2), numbers(tokens, n, n + 2)
    boundary_gradient_kernel[(tokens,)](
        h, y, mix, write, p["alpha"], p["alpha_scale"], p["alpha_weight"], p["beta_scale"], p["beta_weight"],
        p["norm.weight"], cotangents["h"], cotangents["u"], cotangents["mix"], cotangents["write"],
        dx["h"], dx["y"], dx["mix"], dx["write"], means, deviations, tanhs, dzs, reads, dreads, factors, eps, n, width,
        num_warps=max(1, min(16, width // 256)))
    block = min(width, 128)
    sums = numbers(PARTS, n + 3, width)
    boundary_sums_kernel[(width // block, PARTS)](
        h, y, mix, write, cotangents["u"], means, deviations, dzs, reads, factors, sums, tokens, n, width, block, PARTS,
        num_warps=4)
    total = sums.sum(0)
    # Of the coefficients, column by column.
    d = torch.cat([dreads.unsqueeze(-1), cotangents["mix"], cotangents["write"].unsqueeze(-1)], -1)
    dp = {
        "alpha": d[..., : n + 1].sum(0), "alpha_weight": total[: n + 1], "norm.weight": total[n + 2],
        "alpha_scale": (d * tanhs)[..., : n + 1].sum(), "beta": d[..., n + 1].sum(0), "beta_weight": total[n + 1],
        "beta_scale": (d * tanhs)[..., n + 1].sum(),
    }
    return dp, dx
