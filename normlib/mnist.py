"""MNIST from the first place that has it, and drawn digits where none does.

Whatever a file holds is checked before it is believed: sizes before memory is taken, and never a
pickle. Images are uint8 (N, 28, 28, 1), 0 black to 255 white; labels are uint8 (N,), 0 to 9.
"""

import hashlib
import http.client
import io
import os
import queue
import tempfile
import threading
import time
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from normlib.digits import SIZE, draw_digits

MNIST_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
MNIST_CHECKSUM = "06b0d1f124c4e5fa796686ade41a9b778edacc8622f2195a352ef479ad44fc16"
UPLOAD_LIMIT = 20 * 2**20  # bytes

_ARRAYS = ("x_train", "y_train", "x_test", "y_test")
_MNIST_COUNTS = {"train": range(60_000, 60_001), "test": range(10_000, 10_001)}
_UPLOAD_COUNTS = {"train": range(1_000, 100_001), "test": range(100, 100_001)}
_DRAWN_TRAIN, _DRAWN_TEST, _DRAWN_SEED = 12_000, 2_000, 0
_DOWNLOAD_LIMIT = 2 * 11_490_434  # bytes: twice the genuine file
_A_DAY = 86_400.0  # seconds
_ARRAY_LIMIT = 100_000 * SIZE * SIZE + 1_024  # bytes
_ENTRY_LIMIT = 100  # files in an upload; four are wanted

_Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
_Source = tuple[str, Callable[[], tuple[_Arrays, tuple[str, ...]]]]


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
        for part in ("train", "validation", "test"):
            for kind in ("images", "labels"):
                array = getattr(self, f"{part}_{kind}").view()
                array.setflags(write=False)
                object.__setattr__(self, f"{part}_{kind}", array)


class _Unusable(Exception):
    """Why a source cannot be used: the second half of a sentence."""


# One load per question in a process: thirty sessions must not wait for thirty time limits.
_loaded: dict[tuple, Dataset] = {}
_loading = threading.Lock()


def load_mnist(
    path: str | os.PathLike | None = None, *, time_limit: float = 20.0, download: bool = True
) -> Dataset:
    """Return MNIST, or drawn digits where MNIST cannot be had.

    Looks at `path` (or else at the file that NORMLIB_MNIST names), at Keras's cache, and at Keras's
    download, for at most `time_limit` seconds in all; the first that is MNIST to the last byte is
    used. The first 5,000 of the 60,000 training images are the validation set. Nothing is raised
    for a source that fails: `notes` says what was wrong with it. The answer is kept, so later calls
    neither look nor wait again. Raises ValueError when `time_limit` is not positive.
    """
    if not time_limit > 0:
        raise ValueError(f"The time limit must be positive, it is {time_limit} seconds.")
    chosen = path or os.environ.get("NORMLIB_MNIST")
    question = (chosen and os.fspath(chosen), bool(path), _keras_cache(), download, MNIST_URL)
    with _loading:
        if question not in _loaded:
            limit = min(time_limit, _A_DAY) if download else None
            _loaded[question] = _first_usable(_sources(chosen, bool(path), limit))
        return _loaded[question]


def read_upload(data: bytes, *, size_limit: int = UPLOAD_LIMIT) -> Dataset:
    """Return what an uploaded .npz file in Keras's layout holds: MNIST, or other data of its shape.

    x_train (N, 28, 28), y_train (N,), x_test (M, 28, 28), y_test (M,), all uint8, labels 0 to 9, N
    from 1,000 and M from 100 to 100,000. The first twelfth of the training images becomes the
    validation set. Raises ValueError, with one sentence, for anything else.
    """
    try:
        if len(data) > size_limit:
            raise _Unusable(
                f"it has {len(data) / 2**20:.1f} MiB, but {size_limit / 2**20:g} are the limit"
            )
        if data.count(b"PK\x01\x02") > _ENTRY_LIMIT:  # each costs memory before it can be looked at
            raise _Unusable(f"it must hold exactly {', '.join(_ARRAYS)}")
        arrays = _read_npz(io.BytesIO(data), _UPLOAD_COUNTS)
    except _Unusable as fault:
        raise ValueError(f"The uploaded file cannot be used: {fault}.") from fault
    checksum = _checksum(arrays)
    name = "MNIST" if checksum == MNIST_CHECKSUM else "uploaded data"
    return _dataset(name, "uploaded", (), checksum, arrays)


def describe_source(data: Dataset) -> str:
    """Return why earlier sources were passed over and which data is used: sentences, one a line."""
    counts = [len(data.train_labels), len(data.validation_labels), len(data.test_labels)]
    train, validation, test = (f"{count:,}" for count in counts)
    return "\n".join(
        [
            *data.notes,
            f"Data: {data.name}, {data.source}, checksum {data.checksum[:12]}.",
            f"{train} images to train on, {validation} for validation, {test} for the test.",
        ]
    )


# --- the sources --------------------------------------------------------------------------------


def _sources(
    chosen: str | os.PathLike | None, by_argument: bool, time_limit: float | None
) -> list[_Source]:
    """Return where to look for MNIST, in order: each place's name, and how to read it."""
    sources: list[_Source] = []
    if chosen:
        file = Path(os.path.expanduser(chosen))
        name = f"{'the given file' if by_argument else 'NORMLIB_MNIST'} ({file})"
        sources.append((name, lambda: (_read_file(file), ())))
    cache = _keras_cache()
    sources.append((f"Keras's cache ({cache})", lambda: (_read_file(cache), ())))
    if time_limit is not None:
        sources.append((f"Keras's download ({MNIST_URL})", lambda: _download(time_limit, cache)))
    return sources


def _first_usable(sources: list[_Source]) -> Dataset:
    """Return the first source's data that is MNIST, or else the drawn digits."""
    notes: tuple[str, ...] = ()
    for source, read in sources:
        try:
            arrays, remarks = read()
        except _Unusable as fault:
            notes += (f"{source[0].upper()}{source[1:]} was passed over: {fault}.",)
        else:
            return _dataset("MNIST", source, notes + remarks, MNIST_CHECKSUM, arrays)
    images, labels = draw_digits(_DRAWN_TRAIN + _DRAWN_TEST, _DRAWN_SEED)
    train, test = slice(0, _DRAWN_TRAIN), slice(_DRAWN_TRAIN, None)
    arrays = images[train], labels[train], images[test], labels[test]
    return _dataset("drawn digits", "drawn by normlib", notes, _checksum(arrays), arrays)


def _dataset(
    name: str, source: str, notes: tuple[str, ...], checksum: str, arrays: _Arrays
) -> Dataset:
    """Return the arrays as a Dataset, the first twelfth of the training images for validation."""
    x_train, y_train, x_test, y_test = arrays
    x_train, x_test = (x.reshape(-1, SIZE, SIZE, 1) for x in (x_train, x_test))
    cut = len(x_train) // 12  # 5,000 of MNIST's 60,000
    images = x_train[cut:], x_train[:cut], x_test
    return Dataset(name, source, notes, checksum, *images, y_train[cut:], y_train[:cut], y_test)


def _checksum(arrays: _Arrays) -> str:
    """Return the SHA-256 of the arrays' bytes, one after the other, as hex digits."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _keras_cache() -> Path:
    """Return where Keras keeps its mnist.npz."""
    home = os.environ.get("KERAS_HOME") or os.path.join("~", ".keras")
    return Path(os.path.expanduser(home)) / "datasets" / "mnist.npz"


# --- reading a file that may hold anything ------------------------------------------------------


def _read_file(path: Path) -> _Arrays:
    """The arrays of a file that must be MNIST; raises _Unusable."""
    try:
        if not path.exists():
            raise _Unusable("there is no such file")
        if not path.is_file():  # a pipe or a device could keep us waiting for ever
            raise _Unusable("it is not an ordinary file")
        with path.open("rb") as stream:
            return _read_mnist(stream)
    except OSError as error:
        raise _Unusable(f"it cannot be read ({error.strerror or error})") from error


def _read_mnist(stream: BinaryIO) -> _Arrays:
    """The arrays of an .npz stream that must be MNIST; raises _Unusable."""
    arrays = _read_npz(stream, _MNIST_COUNTS)
    found, right = _checksum(arrays), MNIST_CHECKSUM
    if found != right:
        raise _Unusable(
            f"it is shaped like MNIST, but its checksum is {found[:12]} and MNIST's {right[:12]}"
        )
    return arrays


def _read_npz(stream: BinaryIO, counts: dict[str, range]) -> _Arrays:
    """The four arrays of an .npz stream in Keras's layout; raises _Unusable."""
    try:
        with zipfile.ZipFile(stream) as archive:
            members = archive.infolist()
        if sorted(member.filename for member in members) != sorted(f"{n}.npy" for n in _ARRAYS):
            raise _Unusable(f"it must hold exactly {', '.join(_ARRAYS)}")
        for member in members:
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise _Unusable("it is compressed in a way that NumPy does not write")
            if member.file_size > _ARRAY_LIMIT:  # more than it says is never unpacked
                raise _Unusable(f"{member.filename} would unpack to {member.file_size:,} bytes")
        stream.seek(0)
        with np.load(stream, allow_pickle=False) as file:
            x_train, y_train, x_test, y_test = (
                _checked_array(name, file[name], counts[name[2:]]) for name in _ARRAYS
            )
    except _Unusable:
        raise
    except Exception as error:  # whatever a damaged or a hostile file makes zipfile and NumPy raise
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        raise _Unusable(f"it is not a whole .npz file of arrays ({reason})") from error
    for part, x, y in (("train", x_train, y_train), ("test", x_test, y_test)):
        if len(x) != len(y):
            raise _Unusable(f"x_{part} has {len(x):,} images, but y_{part} {len(y):,} labels")
        if y.max() > 9:
            raise _Unusable(f"y_{part} has the label {y.max()}; labels go from 0 to 9")
    return x_train, y_train, x_test, y_test


def _checked_array(name: str, array: object, counts: range) -> np.ndarray:
    """The array, if it fits its name; raises _Unusable."""
    if not isinstance(array, np.ndarray):
        raise _Unusable(f"{name} is not an array in NumPy's format; pickles are never opened")
    if array.dtype != np.uint8:
        raise _Unusable(f"{name} must hold uint8 numbers, not {array.dtype}")
    inner, things = ((SIZE, SIZE), "images of 28 x 28") if name[0] == "x" else ((), "labels")
    if array.shape[1:] != inner or not array.shape or len(array) not in counts:
        shape = " x ".join(f"{length:,}" for length in array.shape) or "a single number"
        first, last = f"{counts[0]:,}", f"{counts[-1]:,}"
        count = first if first == last else f"{first} to {last}"
        raise _Unusable(f"{name} must hold {count} {things}, but its shape is {shape}")
    return array


# --- the network --------------------------------------------------------------------------------
# Keras's get_file has neither a deadline nor a limit of size, leaves half a file under the final
# name while it goes, and needs TensorFlow loaded.


def _download(time_limit: float, cache: Path) -> tuple[_Arrays, tuple[str, ...]]:
    """The downloaded arrays, and a remark if they could not be kept; raises _Unusable."""
    content = _fetch(time_limit)
    return _read_mnist(io.BytesIO(content)), _keep(content, cache)


def _fetch(time_limit: float) -> bytes:
    """What MNIST_URL serves within `time_limit` seconds; raises _Unusable.

    In a thread of its own, because the standard library's timeouts are for single reads: a server
    that sends a byte a second passes all of them.
    """
    url, deadline = MNIST_URL, time.monotonic() + time_limit
    results: queue.SimpleQueue[bytes | Exception] = queue.SimpleQueue()

    def fetch() -> None:
        try:
            content = bytearray()
            with urllib.request.urlopen(url, timeout=time_limit + 5.0) as response:
                while chunk := response.read1(2**16):
                    content += chunk
                    if len(content) > _DOWNLOAD_LIMIT:
                        raise _Unusable("the server sent far more than MNIST's file")
                    if time.monotonic() > deadline:
                        return  # nobody waits any more
            results.put(bytes(content))
        except Exception as error:  # raised again below, where somebody waits for it
            results.put(error)

    threading.Thread(target=fetch, name="MNIST download", daemon=True).start()
    try:
        result = results.get(timeout=time_limit)
        if isinstance(result, Exception):
            raise result
        return result
    except queue.Empty as error:
        raise _Unusable(f"it was not complete after {time_limit:g} seconds") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or repr(error)
        raise _Unusable(f"the server gave no answer that can be used ({reason})") from error


def _keep(content: bytes, cache: Path) -> tuple[str, ...]:
    """Put the verified file into Keras's cache, whole or not at all; returns a remark if not."""
    partial = None
    try:
        if cache.exists():
            return (f"The download was not kept: {cache} is left as it is.",)
        cache.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=cache.parent, prefix="mnist-", delete=False) as file:
            partial = Path(file.name)
            file.write(content)
        partial.chmod(0o644)  # temporary files are private, a cache may be shared
        os.replace(partial, cache)
    except OSError as error:
        if partial is not None:
            partial.unlink(missing_ok=True)
        return (f"The download was not kept: {cache} cannot be written ({error.strerror}).",)
    return ()
