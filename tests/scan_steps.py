"""Steps of recurrences for the tests of scan: cells, and one of every kind of thing a step may do.

A builder is called with a ``Maker`` and the numbers of time steps, rows and columns; it returns
``step, init, xs``. The Variables that it takes of the maker are those whose gradients matter.
"""

import numpy as np

import dynet.functions as F
from dynet import Variable


class Maker:
    """Random arrays of one dtype, and Variables of such; it remembers the Variables."""

    def __init__(self, dtype, seed=0):
        self.dtype = np.dtype(dtype)
        self.rng = np.random.default_rng(seed)
        self.variables = []

    def array(self, *shape):
        # The more columns, the smaller: no recurrence shall grow what rounding makes different.
        scale = max((1, *shape[-1:])) ** -0.5
        return np.asarray(self.rng.standard_normal(shape) * scale).astype(self.dtype)

    def __call__(self, *shape):
        return self.variable(self.array(*shape))

    def constant(self, array):
        """An array that a step closes over and that is no Variable."""
        return array

    def variable(self, array):
        self.variables.append(Variable(array))
        return self.variables[-1]


STEPS = {}


def case(dtype, **sizes):
    """Adds a builder to ``STEPS``, with its dtype and, where they matter, its sizes."""

    def add(builder):
        STEPS[builder.__name__] = builder, dtype, {"T": 6, "N": 5, "H": 4} | sizes
        return builder

    return add


def build(name, dtype=None, seed=0, **sizes):
    """The step, init and xs of a case, and the Variables in it."""
    builder, its_dtype, its_sizes = STEPS[name]
    make = Maker(dtype or its_dtype, seed)
    return builder(make, **its_sizes | sizes), make.variables


# -- cells ----------------------------------------------------------------------------------------


@case("f4")
def tanh_rnn(p, T, N, H):
    W, b = p(H, H), p(H)

    def step(h, x):
        h = F.tanh(F.linear(h, W, b) + x)
        return h, h

    return step, p(N, H), p(T, N, H)


@case("f8")
def relu_rnn_without_outputs(p, T, N, H):
    E, W, b = p(11, H), p(H, H), p(H)

    def step(h, x):
        return F.relu(F.embed_id(x, E) + F.linear(h, W, b)), None

    return step, p.array(N, H), p.rng.integers(0, 11, (T, N)).astype(np.int32)


@case("f8")
def lstm(p, T, N, H):
    W, U, b = p(4 * H, H), p(4 * H, H + 1), p(4 * H)

    def step(state, x):
        c, h = F.lstm(state[0], F.linear(state[1], W, b) + F.linear(x, U))
        return (c, h), h

    return step, (p(N, H), p(N, H)), p(T, N, H + 1)


@case("f4")
def lstm_by_hand(p, T, N, H):
    W, b = p(4 * H, 2 * H), p(4 * H)

    def step(state, x):
        a = F.linear(F.concat([state["h"], x]), W, b)
        i, f, o, g = F.split_axis(a, 4, axis=1)
        c = F.sigmoid(f) * state["c"] + F.sigmoid(i) * F.tanh(g)
        return {"c": c, "h": F.sigmoid(o) * F.tanh(c)}, c

    return step, {"c": p(N, H), "h": p(N, H)}, p(T, N, H)


@case("f4")
def gru(p, T, N, H):
    W, U, b = p(3 * H, H), p(3 * H, H), p(3 * H)

    def step(h, x):
        h = F.gru(h, F.linear(x, W), F.linear(h, U, b))
        return h, h

    return step, p(N, H), p(T, N, H)


@case("f8")
def minimal_gated_unit(p, T, N, H):
    W, U = p(H, 2 * H), p(H, 2 * H)

    def step(h, x):
        f = F.sigmoid(F.linear(F.concat([h, x]), W))
        h = h + f * (F.tanh(F.linear(F.concat([f * h, x]), U)) - h)
        return h, h

    return step, p(N, H), p(T, N, H)


@case("f4")
def lstm_with_layer_normalization(p, T, N, H):
    W, U, gamma, beta = p(4 * H, H), p(4 * H, H), p(4 * H), p(4 * H)

    def step(state, x):
        c, h = state
        a = F.layer_normalization(F.linear(h, W) + F.linear(x, U), gamma, beta)
        c, h = F.lstm(c, a)
        return (c, h), h

    return step, (p(N, H), p(N, H)), p(T, N, H)


@case("f4")
def clockwork_rnn(p, T, N, H):
    W = p(H, H)
    ticks = p.rng.random((T, H)) < 0.5
    soft = p(T, H)

    def step(h, x):
        x, tick, soft = x
        h = F.where(F.broadcast_to(tick, h.shape), F.tanh(h @ W + x), h)
        h = soft * h + (1 - soft) * x
        return h, h

    return step, p(N, H), (p(T, N, H), ticks, soft)


@case("f4")
def residual_stack(p, T, N, H):
    A, B, C = p(H, H), p(H + 2, H), p(H + 2, H + 2)

    def step(state, x):
        a, b = state
        a = a + F.relu(F.linear(a, A) + x)
        b = F.clip_gradient(F.tanh(F.linear(a, B) + F.linear(b, C)), 0.5)
        return (a, b), (b, a)

    return step, (p(N, H), p(N, H + 2)), p(T, N, H)


# -- functions of several axes --------------------------------------------------------------------


@case("f8")
def attention(p, T, N, H):
    own, shared, W = p(N, 7, H), p(3, H), p(H, H)

    def step(h, x):
        scores = F.squeeze(F.matmul(own, F.expand_dims(h @ W, 2)), 2)
        found = F.squeeze(F.matmul(F.expand_dims(F.softmax(scores), 1), own), 1)
        of_three = F.log_softmax(F.linear(h, shared))
        h = F.tanh(found + of_three @ shared + x)
        return h, scores

    return step, p(N, H), p(T, N, H)


@case("f8")
def products(p, T, N, H):
    W, v = p(H, H), p(H)

    def step(h, x):
        a = h @ W + F.matmul(x, W, transb=True) + (W @ h.T).T
        h = F.tanh(a + F.expand_dims(h @ v, 1) + 0.1 * (h @ (h.T @ x)))
        return h, F.matmul(h, x, transa=True)

    return step, p(N, H), p(T, N, H)


@case("f4")
def fast_weights(p, T, N, H):
    def step(state, x):
        M, h = state
        h = F.tanh(x + F.squeeze(F.matmul(M, F.expand_dims(h, 2)), 2))
        M = 0.9 * M + 0.1 * F.matmul(F.expand_dims(h, 2), F.expand_dims(h, 1))
        return (M, h), h

    return step, (p(N, H, H), p(N, H)), p(T, N, H)


@case("f8")
def three_axes(p, T, N, H):
    W = p(H, H)

    def step(h, x):
        a = F.linear(h, W, n_batch_axes=2)
        b = F.reshape(F.linear(F.reshape(h, (-1, H)), W), h.shape)
        h = F.tanh(a * b + F.softmax(h, axis=1) + x)
        return h, F.transpose(h, (0, 2, 1))

    return step, p(N, 3, H), p(T, N, 3, H)


@case("f4")
def joining(p, T, N, H):
    b = p(1, H)

    def step(h, x):
        both = F.stack([h, x], axis=1)
        turned = F.reshape(F.transpose(both, (0, 2, 1)), (h.shape[0], -1))
        u, v = F.broadcast(b, h)
        outer = F.expand_dims(h, 1) * F.expand_dims(x, 2)
        first, rest = F.split_axis(F.concat([h, u * v, turned]), [H + 1], axis=1)
        h = F.tanh(first[:, :H] + rest[:, :H] + F.swapaxes(outer, 1, 2).sum(axis=1))
        return h, (F.moveaxis(both, 0, 2), rest)

    return step, p(N, H), p(T, N, H)


@case("f8")
def indexing(p, T, N, H):
    columns, grid = np.array([2, 0, 0, 1]), np.array([[0, -1], [1, 1]])

    def step(h, x):
        h = F.tanh(0.5 * h[:, ::-1] + x + h[:, -1:] + h[:, columns][:, :1])
        return h, (h[:, 1:3], h[:, 0], h[..., None, 1], h[:, grid], x[:, [0, -1]], F.flip(h, 1))

    return step, p(N, H), p(T, N, H)


@case("f4")
def rows_of_the_batch(p, T, N, H):
    def step(h, x):
        a, b = F.split_axis(h, [2], axis=0)
        h = F.tanh(F.concat([b, a], axis=0) + 0.5 * h[::-1] + x[0])
        return h, (h[0], h[[1, 1]], F.softmax(h, axis=0))

    return step, p(N, H), p(T, N, H)


@case("f8")
def reductions_of_a_row(p, T, N, H):
    def step(h, x):
        largest, smallest = F.max(h, axis=1, keepdims=True), F.min(x, axis=1)
        mean = F.mean(h, axis=1, keepdims=True)
        h = F.tanh(h - mean + x * largest)
        return h, (smallest, F.logsumexp(h, axis=1), h.sum(axis=1))

    return step, p(N, H), p(T, N, H)


@case("f4")
def reductions_of_the_batch(p, T, N, H):
    def step(h, x):
        mean, total = F.mean(h, axis=0), F.sum(x * h)
        h = F.tanh(h - mean + x * F.max(h, axis=0) + 0.1 * total)
        return h, (mean, total, F.min(h))

    return step, p(N, H), p(T, N, H)


# -- functions of elements ------------------------------------------------------------------------


@case("f8")
def elementary(p, T, N, H):
    def step(h, x):
        y = F.exp(-h * h) + F.expm1(0.1 * x) + F.log1p(h * h) + F.log(1 + F.square(x))
        y = y + F.sqrt(1 + h * h) + F.rsqrt(1 + x * x) + F.log2(1 + h * h) + F.log10(1 + x * x)
        y = y + F.sin(h) + F.cos(x) + F.tan(h) + F.sinh(0.3 * h) + F.cosh(0.3 * x) + F.arctan(x)
        h = F.tanh(h)
        y = y + F.arcsin(0.9 * h) + F.arccos(0.5 * h) + F.arctan2(h, x) + F.erf(h) + F.erfc(x)
        return F.tanh(0.3 * y - 2), y

    return step, p(N, H), p(T, N, H)


@case("f8")
def kinks(p, T, N, H):
    def step(h, x):
        y = F.floor(3 * h) + F.ceil(3 * x) + F.fix(2 * h) + F.sign(x) * h + F.clip(h, -0.3, 0.3)
        y = y + abs(x) + F.maximum(h, x) + F.minimum(h, 2 * x) + F.fmod(h, abs(x) + 0.5) + h // 0.7
        return 0.9 * F.tanh(y + F.squared_difference(h, x)), y

    return step, p(N, H), p(T, N, H)


@case("f4")
def activations(p, T, N, H):
    def step(h, x):
        y = F.elu(h) + F.gelu(x) + F.gelu(h, "tanh") + F.hard_sigmoid(h) + F.leaky_relu(x)
        y = y + F.relu6(8 * h) + F.selu(h) + F.silu(x) + F.softplus(h) + F.clipped_relu(x, 0.4)
        return F.tanh(0.3 * y), y

    return step, p(N, H), p(T, N, H)


@case("f8")
def activations_with_parameters(p, T, N, H):
    W, slope, beta = p(H), p(), p(H)

    def step(h, x):
        y = F.prelu(h, W) + F.prelu(x, slope) + F.bias(F.scale(x, W), beta)
        largest = F.maxout(F.concat([F.crelu(h), F.swish(x, beta)]), 4)
        return F.tanh(y + largest[:, :1]), largest

    return step, p(N, H), p(T, N, H)


@case("f8")
def numbers_and_powers(p, T, N, H):
    k, constants = p.dtype.type(0.3), p.constant(p.array(H))

    def step(h, x):
        y = 2 * (1 - h) / 3 + (1 + x * x) ** -1.5 + h**2 + h**3 + 2**h + (1 + h * h) ** 0.5
        y = 1 / (1 + y * y) + -y + +x + x / 2 - 3 + (1 + h * h) ** x
        return F.tanh(k * y + x * constants), constants

    return step, p(N, H), p(T, N, H)


@case("f4")
def the_same_kernels(p, T, N, H):
    """Only functions that the plain loop, too, computes by dynet's own kernels or exactly."""
    E = p(9, H)

    def step(state, x):
        c, h = state
        ids, x = x
        c, h = F.lstm(c, F.concat([x, h, F.relu(-x), F.dropout(F.embed_id(ids, E))]))
        y = F.sigmoid(h) * x / 3 - F.elu(x) + F.softplus(h) + F.silu(x) + F.erf(c)
        return (c, F.zoneout(h, F.sigmoid(y), 0.3)), F.where(x_is_large, y, abs(c))

    x_is_large = p.constant(p.rng.random((N, H)) < 0.5)
    ids = p.rng.integers(0, 9, (T, N))
    return step, (p(N, H), p(N, H)), (ids, p(T, N, H))


# -- noise ----------------------------------------------------------------------------------------


@case("f4")
def noise(p, T, N, H):
    W = p(H, H)

    def step(h, x):
        a = F.tanh(F.linear(F.dropout(h, 0.3), W) + F.dropout(x, 0.5))
        h = F.zoneout(h, a, 0.2)
        return h, F.dropout(h, 0.1)

    return step, p(N, H), p(T, N, H)


# -- trees, layouts, dtypes -----------------------------------------------------------------------


@case("f8")
def carries(p, T, N, H):
    decay, h0 = p(), p(N, H)

    def step(state, x):
        kept, a, b, same, again, n = state
        n = n * decay + 1
        a, b = b, F.tanh(a * kept + x + n)
        y = {"a": a, "kept": kept, "none": (None,), "n": n, "view": b[:, 1:], "x": x}
        return (kept, a, b, F.sigmoid(same * b), b, n), [y, b, b.T, again]

    return step, (p(N, H), p(N, H), p(N, H), h0, h0, p()), p(T, N, H)


@case("f8")
def numbers_as_carry(p, T, N, H):
    decay = p()

    def step(mean, x):
        mean = decay * mean + (1 - decay) * x
        return mean, mean

    return step, p(), p(T)


@case("f8")
def no_carry(p, T, N, H):
    W = p(H, H)
    return lambda carry, x: (None, F.tanh(F.linear(x, W))), None, p(T, N, H)


@case("f8")
def dtypes(p, T, N, H):
    def step(state, x):
        seen, count, h = state
        x, which = x
        h = F.where(seen, h + x, 0.5 * h)
        return (which, count + 1, h), (seen, count, F.cast(h, np.float32))

    where = p.rng.random((T, N, H)) < 0.5
    return step, (where[0], np.array(3), p(N, H)), (p(T, N, H), where)


@case("f8")
def weights_of_every_layout(p, T, N, H):
    fixed = p.array(H, H)
    fixed.flags.writeable = False
    A = p.variable(np.asfortranarray(p.array(H, H)))
    B = p.variable(p.array(2 * H, 2 * H)[::2, ::-2])
    b = p.variable(p.array(2 * H)[::2])
    C, of_another = p.variable(fixed), F.tanh(p(H, H)) * 2

    def step(h, x):
        a = F.linear(h, A, b) + x @ A + h @ B + F.linear(h, C) + C[0]
        h = F.tanh(a + F.linear(h, of_another))
        return h, h

    return step, p(N, H), p(T, N, H)


@case("f4")
def inputs_of_every_layout(p, T, N, H):
    turned = p.variable(p.array(N, T, H).swapaxes(0, 1))
    backwards = p.array(2 * T, N, H)[::-2]
    fixed = p.array(T, H, N).transpose(0, 2, 1)
    fixed.flags.writeable = False

    def step(h, x):
        return F.tanh(h + x[0] * x[1] - x[2]), h

    return step, p.variable(np.asfortranarray(p.array(N, H))), (turned, backwards, fixed)


@case("f8")
def what_it_scans_and_starts_with(p, T, N, H):
    xs, h0, E = p(T, N, H), p(N, H), p(7, H)
    ids = p.constant(np.array([3, 0, 6, 3, 1])[:N])

    def step(h, x):
        h = F.tanh(h + x * F.mean(xs, axis=0) + h0 * xs[0] + F.embed_id(ids, E))
        return h, F.linear(h, E)

    return step, h0, xs
