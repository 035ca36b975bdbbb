"""Where the data comes from, and that nothing broken or malicious gets past the reader."""

import contextlib
import functools
import io
import os
import pickle
import socket
import socketserver
import struct
import threading
import time
import tracemalloc
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from normlib import mnist
from normlib.mnist import describe_source, load_mnist
from pages.lab import upload
from pages.lab.upload import read_upload

real_mnist = pytest.mark.skipif(
    not os.environ.get("NORMLIB_MNIST"), reason="NORMLIB_MNIST does not name the real mnist.npz"
)


def arrays_like_mnist(train=60_000, test=10_000):
    """Black pictures that carry their own number in their first two pixels."""
    arrays = {}
    for part, count in (("train", train), ("test", test)):
        numbers = np.arange(count)
        images = np.zeros((count, 28, 28), np.uint8)
        images[:, 0, 0], images[:, 0, 1] = numbers // 256, numbers % 256
        arrays[f"x_{part}"], arrays[f"y_{part}"] = images, (numbers % 10).astype(np.uint8)
    return arrays


def npy(array, **options):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asanyarray(array), **options)
    return stream.getvalue()


def npz(members, compression=zipfile.ZIP_DEFLATED):
    """A zip file of arrays, or of bytes as they are, named without their .npy."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression, compresslevel=1) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content if isinstance(content, bytes) else npy(content))
    return stream.getvalue()


@pytest.fixture(scope="module")
def lookalike():
    """The bytes of a file that has MNIST's shapes, and its checksum."""
    arrays = arrays_like_mnist()
    return npz(arrays), mnist.as_dataset("", "", (), list(arrays.values())).checksum


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """No file, an empty cache of its own, no network, and nothing remembered."""
    monkeypatch.delenv("NORMLIB_MNIST", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(mnist, "_loaded", {})
    with socket.socket() as probe:  # a port that nobody listens on
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setattr(mnist, "MNIST_URL", f"http://127.0.0.1:{port}/mnist.npz")
    return tmp_path


@pytest.fixture
def alone(bare, monkeypatch):
    """The same, with fewer digits to draw."""
    monkeypatch.setattr(mnist, "_DRAWN_TRAIN", 120)
    monkeypatch.setattr(mnist, "_DRAWN_TEST", 20)
    return bare


@pytest.fixture
def genuine(monkeypatch, lookalike):
    """Take the lookalike for the real one."""
    content, checksum = lookalike
    monkeypatch.setattr(mnist, "MNIST_CHECKSUM", checksum)
    monkeypatch.setattr(upload, "MNIST_CHECKSUM", checksum)
    return content


@pytest.fixture
def serve(monkeypatch):
    """Start a server that answers every request by calling answer(send, stop)."""
    servers, stop = [], threading.Event()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            while not self.request.recv(65_536).endswith(b"\r\n\r\n"):
                pass
            self.server.requests += 1
            with contextlib.suppress(ConnectionError):  # the reader may leave first
                self.server.answer(self.request.sendall, stop)

    def start(answer):
        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads, server.requests, server.answer = True, 0, answer
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/mnist.npz"
        monkeypatch.setattr(mnist, "MNIST_URL", url)
        return server

    yield start
    stop.set()
    for server in servers:
        server.shutdown()
        server.server_close()


def cached(content):
    """Put this into Keras's cache."""
    cache = mnist.keras_cache()
    cache.parent.mkdir(parents=True)
    cache.write_bytes(content)
    return cache


def counts(data):
    return [len(data.train_labels), len(data.validation_labels), len(data.test_labels)]


def peak_memory(work):
    """What the work gives, and the bytes that it held at most."""
    tracemalloc.start()
    try:
        return work(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def reply(body, status="200 OK", length=None):
    head = f"HTTP/1.0 {status}\r\nContent-Length: {len(body) if length is None else length}\r\n\r\n"
    return lambda send, stop: send(head.encode() + body)


def drip(text):
    def answer(send, stop):
        for byte in text:
            send(bytes([byte]))
            if stop.wait(0.05):
                return

    return answer


# The order of the sources.


def test_without_any_source_digits_are_drawn_and_every_source_has_its_sentence(bare):
    data = load_mnist(bare / "nowhere.npz")
    assert data.name == "drawn digits"
    given, cache, download = data.notes
    assert given == (
        f"The given file ({bare / 'nowhere.npz'}) was passed over: there is no such file."
    )
    assert cache == (
        f"Keras's cache ({bare / 'keras' / 'datasets' / 'mnist.npz'}) was passed over: "
        "there is no such file."
    )
    assert download.startswith(f"Keras's download ({mnist.MNIST_URL}) was passed over: ")
    assert "no answer that can be used" in download and "refused" in download
    assert counts(data) == [11_000, 1_000, 2_000]
    assert data.train_images.shape == (11_000, 28, 28, 1)
    assert not set(map(bytes, data.train_images)) & set(map(bytes, data.test_images))
    with pytest.raises(ValueError, match="read-only"):
        data.train_images[0] = 1


def test_a_file_comes_before_the_cache_and_that_before_the_download(
    alone, genuine, serve, monkeypatch
):
    server, cache, chosen = serve(reply(genuine)), cached(genuine), alone / "chosen.npz"
    data = load_mnist()
    assert (data.source, data.notes) == (f"Keras's cache ({cache})", ())
    chosen.write_bytes(genuine)
    monkeypatch.setenv("NORMLIB_MNIST", str(chosen))
    data = load_mnist()
    assert (data.name, data.source, data.notes) == ("MNIST", f"NORMLIB_MNIST ({chosen})", ())
    assert server.requests == 0


def test_a_download_is_verified_kept_and_found_the_next_time(alone, genuine, serve, monkeypatch):
    server = serve(reply(genuine))
    data = load_mnist()
    cache = mnist.keras_cache()
    assert data.name == "MNIST" and data.source == f"Keras's download ({mnist.MNIST_URL})"
    assert len(data.notes) == 1 and "cache" in data.notes[0]
    assert cache.read_bytes() == genuine
    assert list(cache.parent.iterdir()) == [cache]
    monkeypatch.setattr(mnist, "_loaded", {})
    assert load_mnist().source.startswith("Keras's cache")
    assert server.requests == 1


def test_no_download_when_it_is_switched_off_which_is_described(alone, genuine, serve):
    server = serve(reply(genuine))
    data = load_mnist(download=False)
    assert data.name == "drawn digits" and len(data.notes) == 1
    assert server.requests == 0
    text = describe_source(data)
    assert "Keras's cache" in text and "no such file" in text
    assert "drawn digits" in text and "110 images to train on" in text


def test_a_broken_cache_is_named_left_alone_and_passed_over(alone, genuine, serve):
    serve(reply(genuine))
    cache = cached(genuine[:10_000])
    data = load_mnist()
    assert data.name == "MNIST" and data.source.startswith("Keras's download")
    assert cache.read_bytes() == genuine[:10_000]
    assert "not a whole .npz" in data.notes[0]
    assert "was not kept" in data.notes[1] and str(cache) in data.notes[1]


def test_a_download_that_cannot_be_kept_is_used_all_the_same(alone, genuine, serve):
    serve(reply(genuine))
    (alone / "keras").write_text("a file where a folder should be")
    data = load_mnist()
    assert data.name == "MNIST"
    assert "was not kept" in data.notes[-1] and "cannot be written" in data.notes[-1]


def test_the_split_is_the_first_5000_the_last_55000_and_the_test_set(alone, genuine):
    file = alone / "given.npz"
    file.write_bytes(genuine)
    data = load_mnist(file)

    def numbers(images):
        return images[:, 0, 0, 0].astype(int) * 256 + images[:, 0, 1, 0]

    assert data.source == f"the given file ({file})"
    assert numbers(data.validation_images).tolist() == list(range(5_000))
    assert numbers(data.train_images).tolist() == list(range(5_000, 60_000))
    assert numbers(data.test_images).tolist() == list(range(10_000))
    for part in ("train", "validation", "test"):
        images, labels = getattr(data, f"{part}_images"), getattr(data, f"{part}_labels")
        assert images.shape == (len(labels), 28, 28, 1)
        assert images.dtype == labels.dtype == np.uint8
        assert (labels == numbers(images) % 10).all()
        for array in (images, labels):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 1


# Files that are not MNIST.


FAULTS = {
    "no such file": None,
    "not an ordinary file": Path,
    "not a whole .npz": lambda lookalike: b"",
    "not a whole .npz file": lambda lookalike: lookalike[: len(lookalike) // 2],
    "must hold exactly x_train, y_train": lambda lookalike: npz({"x_train": np.zeros(3)}),
    "x_train must hold 60,000 images of 28 x 28, but its shape is 1,000 x 28 x 28": (
        lambda lookalike: npz(arrays_like_mnist(1_000, 100))
    ),
    "its checksum is": lambda lookalike: lookalike,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_file_is_named_left_alone_and_passed_over(alone, monkeypatch, lookalike, fault):
    make, content, file = FAULTS[fault], None, alone / "chosen.npz"
    if make is Path:
        file.mkdir()
    elif make is not None:
        content = make(lookalike[0])
        file.write_bytes(content)
    monkeypatch.setenv("NORMLIB_MNIST", str(file))
    data = load_mnist(download=False)
    assert data.name == "drawn digits"
    assert data.notes[0].startswith(f"NORMLIB_MNIST ({file}) was passed over: ")
    assert fault in data.notes[0] and data.notes[0].endswith(".")
    assert content is None or file.read_bytes() == content


def test_a_device_that_never_ends_is_not_read(alone):
    assert "not an ordinary file" in load_mnist("/dev/zero", download=False).notes[0]


# Servers that misbehave.


@pytest.mark.parametrize(
    "answer",
    [
        lambda send, stop: stop.wait(30),
        drip(b"HTTP/1.0 200 OK\r\nX-Long: " + b"x" * 10_000),
        drip(b"HTTP/1.0 200 OK\r\n\r\n" + b"PK" * 10_000),
    ],
    ids=["silent", "a byte at a time in the header", "a byte at a time in the body"],
)
def test_a_slow_server_cannot_hold_up_the_lab(alone, serve, answer):
    serve(answer)
    started = time.monotonic()
    data = load_mnist(time_limit=0.3)
    assert time.monotonic() - started < 10.0  # the drawing included; the servers take minutes
    assert data.name == "drawn digits"
    assert "not complete after 0.3 seconds" in data.notes[-1]


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (lambda send, stop: send(b"\x00\x01 what?\r\n\r\n"), "no answer that can be used"),
        (lambda send, stop: None, "no answer that can be used"),
        (reply(b"gone", "404 Not Found"), "(Not Found)"),
        (reply(b"<html>Please log in</html>"), "not a whole .npz"),
        (reply(b"PK\x03\x04" * 50, length=10**9), "not a whole .npz"),
        (reply(npz(arrays_like_mnist(1_000, 100))), "x_train must hold 60,000 images"),
    ],
    ids=["garbage", "nothing", "404", "log-in page", "cut short", "another file"],
)
def test_a_useless_answer_is_named_and_nothing_is_kept(alone, serve, answer, fault):
    serve(answer)
    data = load_mnist()
    assert data.name == "drawn digits" and fault in data.notes[-1]
    assert not mnist.keras_cache().parent.exists()


def test_an_endless_answer_is_cut_off(alone, serve, monkeypatch):
    def pour(send, stop):
        send(b"HTTP/1.0 200 OK\r\n\r\n")
        while not stop.is_set():
            send(bytes(2**16))

    monkeypatch.setattr(mnist, "_DOWNLOAD_LIMIT", 2**20)
    serve(pour)
    assert "far more than MNIST's file" in load_mnist().notes[-1]


def test_a_failure_is_not_tried_again_and_threads_share_one_load(alone, serve):
    server = serve(lambda send, stop: stop.wait(30))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: load_mnist(time_limit=0.3), range(8)))
    assert len(set(map(id, [*found, load_mnist()]))) == 1
    assert server.requests == 1


@pytest.mark.parametrize("limit", [1e12, float("inf")])
def test_a_limit_that_is_longer_than_any_wait_is_one(alone, genuine, serve, limit):
    serve(reply(genuine))
    assert load_mnist(time_limit=limit).name == "MNIST"


@pytest.mark.parametrize("home", ["x" * 300, "closed"])
def test_a_cache_folder_that_cannot_be_read_is_passed_over(
    alone, genuine, serve, monkeypatch, home
):
    serve(reply(genuine))
    if home == "closed":  # permissions mean nothing to root

        def refuse(path, **options):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "exists", refuse)
    monkeypatch.setenv("KERAS_HOME", str(alone / home))
    data = load_mnist()
    assert data.name == "MNIST" and data.source.startswith("Keras's download")
    assert "cannot be read" in data.notes[0] and "was not kept" in data.notes[1]


@pytest.mark.parametrize("limit", [0, -1.0, float("nan")])
def test_an_impossible_time_limit_is_refused(limit):
    with pytest.raises(ValueError, match="must be positive"):
        load_mnist(time_limit=limit)


# Uploads.


@pytest.fixture(scope="module")
def small():
    return arrays_like_mnist(1_200, 100)


def test_an_upload_in_the_right_layout_is_used(small):
    data = read_upload(npz(small))
    assert (data.name, data.source, data.notes) == ("uploaded data", "uploaded", ())
    assert counts(data) == [1_100, 100, 100]
    assert np.array_equal(data.validation_images[..., 0], small["x_train"][:100])
    assert data.checksum != read_upload(npz({**small, "y_test": small["y_test"][::-1]})).checksum
    columns = {name: np.asfortranarray(array) for name, array in small.items()}
    assert b"'fortran_order': True" in npy(columns["x_train"])
    assert read_upload(npz(columns)).checksum == data.checksum


def test_an_upload_of_mnist_is_called_mnist(genuine):
    assert read_upload(genuine).name == "MNIST"


def header(text, version=b"\x01\x00"):
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text


def lying_zip(small, size):
    """Says that x_train has as many bytes as it should, but unpacks to `size` zeros more."""
    content = npy(small["x_train"])
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(content)
    for _ in range(size // 2**20):
        packed += packer.compress(bytes(2**20))
    packed += packer.flush()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in ("x_train", "y_train", "x_test", "y_test"):
            archive.writestr(f"{name}.npy", packed if name == "x_train" else npy(small[name]))
    data = bytearray(stream.getvalue())
    central = data.index(b"PK\x01\x02")
    crc = zlib.crc32(content)
    for at in (8, central + 10):  # method, then CRC and sizes: in the file's and the central header
        struct.pack_into("<H", data, at, zipfile.ZIP_DEFLATED)
        struct.pack_into("<III", data, at + 6, crc, len(packed), len(content))
    return bytes(data)


UNREADABLE = "it is not a whole .npz file of arrays ("


@functools.cache
def faulty_uploads():
    small = arrays_like_mnist(1_200, 100)
    whole, plain = npz(small), bytearray(npz(small, zipfile.ZIP_STORED))
    plain[2_000] ^= 1
    objects = np.array([{}] * 1_200, dtype=object)
    huge = np.broadcast_to(np.uint8(0), (10**6, 28, 28))
    huge_header = npy(huge[:0]).replace(b"(0, 28, 28), }        ", b"(1000000, 28, 28), }  ")

    def but(**changes):
        return npz({**small, **changes})

    return {
        "empty": (b"", "not a whole .npz"),
        "text": (b"hello", "not a whole .npz"),
        "a pickle": (pickle.dumps(small), "not a whole .npz"),
        "cut short": (whole[:-100], "not a whole .npz"),
        "a flipped bit": (bytes(plain), "CRC"),
        "a name is missing": (npz({"x_train": small["x_train"]}), "must hold exactly x_train"),
        "one name too many": (but(extra=small["y_test"]), "must hold exactly x_train"),
        "other names": (npz({f"arr_{i}": a for i, a in enumerate(small.values())}), "must hold"),
        "objects": (but(y_train=npy(objects, allow_pickle=True)), "Object arrays cannot be loaded"),
        "a pickle inside": (but(y_train=pickle.dumps([1])), "pickles are never opened"),
        "float images": (but(x_train=small["x_train"] / 255), "must hold uint8"),
        "int64 labels": (but(y_test=small["y_test"].astype(int)), "must hold uint8"),
        "flat images": (but(x_test=small["x_test"].reshape(100, 784)), "shape is 100 x 784"),
        "a single number": (but(y_test=np.uint8(3)), "a single number"),
        "too few": (npz(arrays_like_mnist(999, 100)), "1,000 to 100,000 images"),
        "too many": (but(x_train=huge_header), UNREADABLE),
        "labels of another length": (but(y_train=small["y_train"][:-1]), "1,199 labels"),
        "a label too large": (but(y_test=small["y_test"] + 1), "has the label 10"),
        "fewer bytes than said": (but(y_test=npy(small["y_test"])[:-1]), UNREADABLE),
        "no header": (but(y_test=b"\x93NUMPY"), UNREADABLE),
        "a header too long": (but(y_test=header(b" " * 20_000)), UNREADABLE),
        "a header that is no dictionary": (but(y_test=header(b"[1, 2")), UNREADABLE),
        "a header nested too deep": (but(y_test=header(b"-" * 1_000 + b"1")), UNREADABLE),
        "a negative shape": (
            but(y_test=header(b"{'descr': '|u1', 'fortran_order': False, 'shape': (-1,)}")),
            UNREADABLE,
        ),
        "an array of gigabytes": (
            but(x_train=header(b"{'descr': '|u1', 'fortran_order': False, 'shape': (10**15,)}")),
            UNREADABLE,
        ),
        "more than is allowed": (npz({**small, "x_train": bytes(80_000_000)}), "would unpack to"),
        "another compression": (npz(small, zipfile.ZIP_LZMA), "NumPy does not write"),
    }


@pytest.mark.parametrize("case", list(faulty_uploads()))
def test_a_faulty_upload_is_refused_in_one_sentence(case):
    data, reason = faulty_uploads()[case]
    with pytest.raises(ValueError) as refused:
        read_upload(data)
    message = str(refused.value)
    assert message.startswith("The uploaded file cannot be used: ") and message.endswith(".")
    assert reason in message and "\n" not in message


def test_an_upload_over_the_size_limit_is_refused(small):
    with pytest.raises(ValueError, match=r"MiB, but 0\.0625 are the limit"):
        read_upload(npz(small, zipfile.ZIP_STORED), size_limit=2**16)


def test_a_zip_bomb_takes_no_memory(small):
    bomb = lying_zip(small, 64 * 2**20)
    assert len(bomb) < 2**20
    # What it says is there is there; the rest is never unpacked.
    data, peak = peak_memory(lambda: read_upload(bomb))
    assert data.checksum == read_upload(npz(small)).checksum
    assert peak < 16 * 2**20


def test_a_zip_of_very_many_files_is_refused_before_it_is_listed():
    def refused(crowd):
        with pytest.raises(ValueError, match="must hold exactly x_train"):
            read_upload(crowd)

    crowd = npz({f"m{number}": b"" for number in range(10_000)})
    assert peak_memory(lambda: refused(crowd))[1] < 2**20


def test_an_upload_never_runs_a_pickle(tmp_path, small):
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "run",))

    objects = np.array([Evil()], dtype=object)
    with pytest.raises(ValueError, match="cannot be loaded"):
        read_upload(npz({**small, "y_train": npy(objects, allow_pickle=True)}))
    assert not (tmp_path / "run").exists()


def test_whatever_is_damaged_the_answer_is_a_sentence():
    whole = npz(arrays_like_mnist(1_000, 100))
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        data = bytearray(whole)
        where = [rng.integers(len(data)), len(data) - 1 - rng.integers(400)]
        for at in where:  # somewhere, and in the directory at the end
            data[at] = rng.integers(256)
        try:
            read_upload(bytes(data))
        except ValueError as error:
            assert str(error).startswith("The uploaded file cannot be used: ")
            assert "()" not in str(error)
            refused += 1
    assert refused > 100


# With the real one.


@real_mnist
def test_the_real_mnist_is_recognized(monkeypatch):
    monkeypatch.setattr(mnist, "_loaded", {})
    data = load_mnist(download=False)
    assert (data.name, data.notes, data.checksum) == ("MNIST", (), mnist.MNIST_CHECKSUM)
    assert np.bincount(data.test_labels).tolist() == [
        *(980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)
    ]
    # The mean of all 60,000 training pictures, scaled to 0..1, as it is quoted everywhere.
    images = np.concatenate([data.validation_images, data.train_images])
    assert images.mean() / 255 == pytest.approx(0.1307, abs=5e-5)
