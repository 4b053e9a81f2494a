"""8x8 handwritten digits that come with scikit-learn: small, and there without a network."""

import numpy as np

from .mnist import MNIST, Examples


def get_digits() -> MNIST:
    """1,797 small handwritten digits: the first 1,440 to learn from, the other 357 to test with.

    Returns:
        MNIST: ``(train, test)``, each a pair ``(images, labels)``: images uint8 ``(N, 8, 8)``,
        grey levels 0 to 16; labels int32 ``(N,)``.

    Raises:
        ImportError: scikit-learn is not installed; ``pip install 'dynet[examples]'`` brings it.

    Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine
    Learning Repository (1998).

    >>> import dynet
    >>> train, test = dynet.datasets.get_digits()
    >>> train.images.shape, test.labels.shape
    ((1440, 8, 8), (357,))
    """
    try:
        from sklearn.datasets import load_digits  # optional: comes with dynet[examples]
    except ImportError as error:
        raise ImportError(
            "get_digits: scikit-learn is not installed; pip install 'dynet[examples]' brings it"
        ) from error

    digits = load_digits()
    images, labels = digits.images.astype(np.uint8), digits.target.astype(np.int32)
    return MNIST(Examples(images[:1440], labels[:1440]), Examples(images[1440:], labels[1440:]))
