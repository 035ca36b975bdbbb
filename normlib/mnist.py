"""MNIST from the first place that has it, and drawn digits where none does.

Whatever a file holds is checked before it is believed: sizes before memory is taken, and never a
pickle. Images are uint8 (N, 28, 28, 1), 0 black to 255 white; labels are uint8 (N,), 0 to 9.
"""

import hashlib
import http.client
import io
import os
import threading
import time
import urllib.request
import zipfile
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from normlib.digits import SIZE, draw_digits

MNIST_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
MNIST_CHECKSUM = "06b0d1f124c4e5fa796686ade41a9b778edacc8622f2195a352ef479ad44fc16"
ARRAYS = ("x_train", "y_train", "x_test", "y_test")

_DRAWN_TRAIN, _DRAWN_TEST, _DRAWN_SEED = 12_000, 2_000, 0
_DOWNLOAD_LIMIT = 2 * 11_490_434  # bytes: twice the genuine file
_ARRAY_LIMIT = 100_000 * SIZE * SIZE + 1_024  # bytes
_A_DAY = 86_400.0  # seconds


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and labels to train on, to choose by and to test with, and where they came from.

    `notes` has one sentence for every source that was passed over; `checksum` is the SHA-256 of the
    arrays' bytes. The arrays cannot be written to.
    """

    name: str
    source: str
    notes: tuple[str, ...]
    checksum: str
    train_images: np.ndarray = field(repr=False)
    validation_images: np.ndarray = field(repr=False)
    test_images: np.ndarray = field(repr=False)
    train_labels: np.ndarray = field(repr=False)
    validation_labels: np.ndarray = field(repr=False)
    test_labels: np.ndarray = field(repr=False)

    def __post_init__(self) -> None:
        for one in fields(self)[4:]:
            array = getattr(self, one.name).view()
            array.setflags(write=False)
            object.__setattr__(self, one.name, array)


class Unusable(Exception):
    """Why a source cannot be used: the second half of a sentence."""


# One load per question in a process: thirty sessions must not wait for thirty time limits.
_loaded: dict[tuple[str, ...], Dataset] = {}
_loading = threading.Lock()


def load_mnist(
    path: str | os.PathLike | None = None, *, time_limit: float = 20.0, download: bool = True
) -> Dataset:
    """MNIST, or drawn digits where MNIST cannot be had.

    Looks at `path` (or else at the file that NORMLIB_MNIST names), at Keras's cache, and at Keras's
    download, for at most `time_limit` seconds in all; the first that is MNIST to the last byte is
    used. The first 5,000 of the 60,000 training images are the validation set. Nothing is raised
    for a source that fails: `notes` says what was wrong with it. The answer is kept, so later calls
    neither look nor wait again. Raises ValueError when `time_limit` is not positive.
    """
    if not time_limit > 0:
        raise ValueError(f"The time limit must be positive, it is {time_limit} seconds.")
    sources: dict[str, Callable[[], BinaryIO]] = {}
    if chosen := path or os.environ.get("NORMLIB_MNIST"):
        file = Path(os.path.expanduser(chosen))
        sources[f"{'the given file' if path else 'NORMLIB_MNIST'} ({file})"] = partial(_open, file)
    sources[f"Keras's cache ({keras_cache()})"] = partial(_open, keras_cache())
    if download:
        sources[f"Keras's download ({MNIST_URL})"] = partial(_download, min(time_limit, _A_DAY))
    question = tuple(sources)
    with _loading:
        if question not in _loaded:
            _loaded[question] = _first_usable(sources)
        return _loaded[question]


def describe_source(data: Dataset) -> str:
    """Why earlier sources were passed over and which data is used: sentences, one a line."""
    train, validation, test = (
        f"{len(labels):,}"
        for labels in (data.train_labels, data.validation_labels, data.test_labels)
    )
    used = f"Data: {data.name}, {data.source}, checksum {data.checksum[:12]}."
    counts = f"{train} images to train on, {validation} for validation, {test} for the test."
    return "\n".join([*data.notes, used, counts])


def as_dataset(name: str, source: str, notes: tuple[str, ...], arrays: list[np.ndarray]) -> Dataset:
    """The arrays as a Dataset, the first twelfth of the training images for validation."""
    checksum = hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()
    x, y, x_test, y_test = arrays
    x, x_test = (images.reshape(-1, SIZE, SIZE, 1) for images in (x, x_test))
    cut = len(x) // 12  # 5,000 of MNIST's 60,000
    images, labels = (x[cut:], x[:cut], x_test), (y[cut:], y[:cut], y_test)
    return Dataset(name, source, notes, checksum, *images, *labels)


def _first_usable(sources: dict[str, Callable[[], BinaryIO]]) -> Dataset:
    """The first source's data that is MNIST, or else the drawn digits."""
    notes: list[str] = []
    for source, open_stream in sources.items():
        try:
            with open_stream() as stream:
                arrays = read_npz(stream, range(60_000, 60_001), range(10_000, 10_001))
                data = as_dataset("MNIST", source, tuple(notes), arrays)
                if data.checksum != MNIST_CHECKSUM:
                    sums = f"{data.checksum[:12]} and MNIST's {MNIST_CHECKSUM[:12]}"
                    raise Unusable(f"it is shaped like MNIST, but its checksum is {sums}")
                if isinstance(stream, io.BytesIO):
                    data = replace(data, notes=data.notes + _keep(stream.getvalue()))
                return data
        except Unusable as fault:
            notes.append(f"{source[0].upper()}{source[1:]} was passed over: {fault}.")
    images, labels = draw_digits(_DRAWN_TRAIN + _DRAWN_TEST, _DRAWN_SEED)
    train, test = slice(_DRAWN_TRAIN), slice(_DRAWN_TRAIN, None)
    arrays = [images[train], labels[train], images[test], labels[test]]
    return as_dataset("drawn digits", "drawn by normlib", tuple(notes), arrays)


# --- files, which may hold anything -------------------------------------------------------------


def keras_cache() -> Path:
    """Where Keras keeps its mnist.npz."""
    home = os.environ.get("KERAS_HOME") or os.path.join("~", ".keras")
    return Path(os.path.expanduser(home)) / "datasets" / "mnist.npz"


def _open(path: Path) -> BinaryIO:
    try:
        if not path.exists():
            raise Unusable("there is no such file")
        if not path.is_file():  # a pipe or a device could keep us waiting for ever
            raise Unusable("it is not an ordinary file")
        return path.open("rb")
    except OSError as error:
        raise Unusable(f"it cannot be read ({error.strerror or error})") from error


def read_npz(stream: BinaryIO, train: range, test: range) -> list[np.ndarray]:
    """The four `ARRAYS` of an .npz stream in Keras's layout, so many of them; raises Unusable."""
    try:
        with zipfile.ZipFile(stream) as archive:
            members = archive.infolist()
        if sorted(member.filename for member in members) != sorted(f"{n}.npy" for n in ARRAYS):
            raise Unusable(f"it must hold exactly {', '.join(ARRAYS)}")
        for member in members:
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise Unusable("it is compressed in a way that NumPy does not write")
            if member.file_size > _ARRAY_LIMIT:  # more than it says is never unpacked
                raise Unusable(f"{member.filename} would unpack to {member.file_size:,} bytes")
        stream.seek(0)
        counts = (train, train, test, test)
        with np.load(stream, allow_pickle=False) as file:
            arrays = [_checked(n, file[n], count) for n, count in zip(ARRAYS, counts, strict=True)]
    except Unusable:
        raise
    except Exception as error:  # whatever a damaged or a hostile file makes zipfile and NumPy raise
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        raise Unusable(f"it is not a whole .npz file of arrays ({reason})") from error
    for part, (x, y) in {"train": arrays[:2], "test": arrays[2:]}.items():
        if len(x) != len(y):
            raise Unusable(f"x_{part} has {len(x):,} images, but y_{part} {len(y):,} labels")
        if y.max() > 9:
            raise Unusable(f"y_{part} has the label {y.max()}; labels go from 0 to 9")
    return arrays


def _checked(name: str, array: object, counts: range) -> np.ndarray:
    """The array, if it fits its name; raises Unusable."""
    if not isinstance(array, np.ndarray):
        raise Unusable(f"{name} is not an array in NumPy's format; pickles are never opened")
    if array.dtype != np.uint8:
        raise Unusable(f"{name} must hold uint8 numbers, not {array.dtype}")
    inner, things = ((SIZE, SIZE), "images of 28 x 28") if name[0] == "x" else ((), "labels")
    if array.shape[1:] != inner or not array.shape or len(array) not in counts:
        shape = " x ".join(f"{length:,}" for length in array.shape) or "a single number"
        count = " to ".join(f"{n:,}" for n in sorted({counts[0], counts[-1]}))
        raise Unusable(f"{name} must hold {count} {things}, but its shape is {shape}")
    return array


# --- the network --------------------------------------------------------------------------------
# Keras's get_file has neither a deadline nor a limit of size, leaves half a file under the final
# name while it goes, and needs TensorFlow loaded.


def _download(time_limit: float) -> io.BytesIO:
    """What MNIST_URL serves within `time_limit` seconds; raises Unusable.

    In a thread of its own, because the standard library's timeouts are for single reads: a server
    that sends a byte a second passes all of them.
    """
    url, deadline = MNIST_URL, time.monotonic() + time_limit
    result: Future[io.BytesIO] = Future()

    def fetch() -> None:
        try:
            content = io.BytesIO()
            with urllib.request.urlopen(url, timeout=time_limit + 5.0) as response:
                while content.write(response.read1(2**16)):
                    if content.tell() > _DOWNLOAD_LIMIT:
                        raise Unusable("the server sent far more than MNIST's file")
                    if time.monotonic() > deadline:
                        return  # nobody waits any more
            result.set_result(content)
        except Exception as error:  # raised again below, where somebody waits for it
            result.set_exception(error)

    threading.Thread(target=fetch, name="MNIST download", daemon=True).start()
    try:
        return result.result(time_limit)
    except TimeoutError as error:
        raise Unusable(f"it was not complete after {time_limit:g} seconds") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or repr(error)
        raise Unusable(f"the server gave no answer that can be used ({reason})") from error


def _keep(content: bytes) -> tuple[str, ...]:
    """Put the verified file into Keras's cache, whole or not at all; returns a remark if not."""
    cache = keras_cache()
    half = cache.with_name(f"mnist-{os.getpid()}.part")
    try:
        if cache.exists():
            return (f"The download was not kept: {cache} is left as it is.",)
        cache.parent.mkdir(parents=True, exist_ok=True)
        try:
            half.write_bytes(content)
            half.replace(cache)
        finally:
            half.unlink(missing_ok=True)
    except OSError as error:
        return (f"The download was not kept: {cache} cannot be written ({error.strerror}).",)
    return ()
