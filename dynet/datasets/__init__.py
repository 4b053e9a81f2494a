"""Data sets to learn from, fetched once and kept; and tools to combine, split and batch them."""

from .combined import ConcatenatedDataset, DictDataset, TransformDataset, TupleDataset
from .convert import concat_examples
from .dataset_mixin import DatasetMixin
from .digits import get_digits
from .download import DownloadError, fetch
from .hdf5 import HDF5Dataset
from .mnist import MNIST, Examples, get_mnist, read_idx
from .sentiment import Reviews, Sentiment, get_sentiment
from .sequences import (
    AddingProblem,
    BinaryAddition,
    get_adding_problem,
    get_binary_addition,
    get_sine,
)
from .sub_dataset import (
    SubDataset,
    get_cross_validation_datasets,
    get_cross_validation_datasets_random,
    split_dataset,
    split_dataset_n,
    split_dataset_n_random,
    split_dataset_random,
)
from .text import Text, get_text

__all__ = [
    "MNIST",
    "AddingProblem",
    "BinaryAddition",
    "ConcatenatedDataset",
    "DatasetMixin",
    "DictDataset",
    "DownloadError",
    "Examples",
    "HDF5Dataset",
    "Reviews",
    "Sentiment",
    "SubDataset",
    "Text",
    "TransformDataset",
    "TupleDataset",
    "concat_examples",
    "fetch",
    "get_adding_problem",
    "get_binary_addition",
    "get_cross_validation_datasets",
    "get_cross_validation_datasets_random",
    "get_digits",
    "get_mnist",
    "get_sentiment",
    "get_sine",
    "get_text",
    "read_idx",
    "split_dataset",
    "split_dataset_n",
    "split_dataset_n_random",
    "split_dataset_random",
]
