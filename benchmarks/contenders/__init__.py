"""The same network in each framework: an IRNN, its gradient, clipping and an SGD update.

``h = relu(embed(x) + h @ W.T + b)`` for every step, then a linear layer to 10 classes and softmax
cross entropy (Le, Jaitly, Hinton, "A Simple Way to Initialize Recurrent Networks of Rectified
Linear Units", 2015). Every contender is a class with

- ``label``: what a table calls it;
- ``__init__(weights, rate, device, threads)``: the model, from arrays by name;
- ``prepare(xs, t)``: a batch in the framework's own arrays, on its device, from ids
  ``(steps, batch)`` and labels ``(batch,)``;
- ``loss_and_gradients(batch)``: as a float, and NumPy arrays by name; changes no weight;
- ``train(batch)``: one step of training, which may still go on when the call returns;
- ``wait()``: returns when the steps so far are over;
- ``biases()``: NumPy arrays by name.

A framework is imported only when a contender that needs it is loaded. Cells that no library has
built in stand in ``cells``, and in ``cells_with_dynet`` and its like.
"""

import importlib

import numpy as np

CLASSES = 10
THRESHOLD = 1.0  # that the gradient's global norm is clipped to

# Where the class of each contender stands, by name.
OWN = {"dynet-scan": "with_dynet.Scan", "dynet": "with_dynet.Loop"}
PEERS = {"torch": "with_torch.Loop", "torch-rnn": "with_torch.BuiltIn", "jax": "with_jax.Scan"}


def load(name: str, places: dict[str, str] = OWN | PEERS) -> type | None:
    """The class of a contender; ``None`` where its framework is not installed."""
    module, cls = places[name].split(".")
    try:
        return getattr(importlib.import_module(f".{module}", __name__), cls)
    except ModuleNotFoundError as error:
        if error.name != module.rpartition("_")[2]:
            raise
        return None


def make_weights(hidden: int, seed: int = 0) -> dict[str, np.ndarray]:
    """The weights of an IRNN as it starts: the identity, zeros, and a narrow Gaussian."""
    rng = np.random.default_rng(seed)

    def normal(*shape):
        return rng.normal(0, 0.01, shape).astype(np.float32)

    return {
        "embed.W": normal(256, hidden),
        "recur.W": np.eye(hidden, dtype=np.float32),
        "recur.b": np.zeros(hidden, np.float32),
        "out.W": normal(CLASSES, hidden),
        "out.b": np.zeros(CLASSES, np.float32),
    }


def make_batch(steps: int, batch: int, rng: np.random.Generator):
    """Grey levels ``(steps, batch)`` and labels ``(batch,)``, at random: time does not see them."""
    xs = rng.integers(0, 256, (steps, batch), np.int32)
    return xs, rng.integers(0, CLASSES, batch, np.int32)


def check_gradients(contenders: dict, prepared: dict, tolerance: float = 1e-3) -> tuple:
    """Check that contenders compute the same loss and gradients.

    Args:
        contenders: by name; the first is what the others are compared with.
        prepared: one and the same batch, as each contender has prepared it.
        tolerance: of the largest difference, relative to the largest element.

    Returns:
        tuple: the loss, and the gradients by name.

    Raises:
        AssertionError: they do not.
    """
    loss, gradients = None, None
    for name, contender in contenders.items():
        found_loss, found = contender.loss_and_gradients(prepared[name])
        if gradients is None:
            loss, gradients = found_loss, found
        _check_close(f"{name}: loss", found_loss, loss, tolerance)
        for key in gradients:
            _check_close(f"{name}: gradient of {key}", found[key], gradients[key], tolerance)
    return loss, gradients


def check_same(contenders: dict, prepared: dict, rate: float, tolerance: float = 1e-3) -> None:
    """Check that contenders compute the same loss, gradients and first update, which is made.

    Of the update the biases are looked at: they start from zero, so a small change is not lost
    in the rounding of a large number.

    Args:
        contenders, prepared, tolerance: as for ``check_gradients``.
        rate: the learning rate.

    Raises:
        AssertionError: they do not.
    """
    loss, gradients = check_gradients(contenders, prepared, tolerance)
    norm = np.sqrt(sum([np.sum(g.astype(np.float64) ** 2) for g in gradients.values()]))
    factor = rate * min(1.0, THRESHOLD / norm)
    for name, contender in contenders.items():
        contender.train(prepared[name])
        contender.wait()
        for key, bias in contender.biases().items():
            _check_close(f"{name}: updated {key}", bias, -factor * gradients[key], tolerance)
    print(
        f"Checked: {', '.join(contenders)} compute the same loss ({loss:.6f}), the same gradients "
        f"(norm {norm:.4g})\nand the same update, to {tolerance:g} of the largest element."
    )


def _check_close(what, found, expected, tolerance):
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape:
        raise AssertionError(f"{what} has shape {found.shape}, expected {expected.shape}")
    difference = np.abs(found - expected).max() / np.abs(expected).max()
    if not difference <= tolerance:
        raise AssertionError(
            f"{what} differs by {difference:.2g} of the largest element, "
            f"expected at most {tolerance:g}"
        )
