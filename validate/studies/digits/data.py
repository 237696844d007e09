"""Scikit-learn's handwritten digits, split once and for all into training and test images."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roofline.errors import MissingPackageError

TEST_SHARE = 1 / 3
SOURCE = "scikit-learn digits, held-out third"
"""What accuracies of the experiment were measured on."""


@dataclass(frozen=True, slots=True)
class Split:
    """Images of one channel with values from 0 to 1, and their classes."""

    train_images: NDArray[np.float32]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.float32]
    test_labels: NDArray[np.int64]


def load(seed: int = 0) -> Split:
    """Return the 1797 images (Alpaydin and Kaynak 1998, UCI) split by class: two thirds to train, one third to test.

    Args:
        seed: Of the shuffle before the split.

    Raises:
        MissingPackageError: scikit-learn is not installed.
    """
    try:
        datasets: Any = importlib.import_module("sklearn.datasets")
    except ImportError as error:
        raise MissingPackageError(
            "scikit-learn", "experiments", "the digits experiment"
        ) from error
    bunch = datasets.load_digits()
    images = (bunch.images / 16.0).astype(np.float32)[:, None]
    labels = bunch.target.astype(np.int64)
    chance = np.random.default_rng(seed)
    test = np.zeros(len(labels), bool)
    for digit in range(10):
        members = chance.permutation(np.flatnonzero(labels == digit))
        test[members[: round(len(members) * TEST_SHARE)]] = True
    return Split(images[~test], labels[~test], images[test], labels[test])
