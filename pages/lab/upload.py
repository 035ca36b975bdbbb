"""Images and labels from a stranger's file."""

from __future__ import annotations

import io
from dataclasses import replace

from normlib.mnist import ARRAYS, MNIST_CHECKSUM, Dataset, Unusable, as_dataset, read_npz

UPLOAD_LIMIT = 20 * 2**20  # bytes
_ENTRY_LIMIT = 100  # files in it; four are wanted


def read_upload(data: bytes, *, size_limit: int = UPLOAD_LIMIT) -> Dataset:
    """What an uploaded .npz file in Keras's layout holds: MNIST, or other data of its shape.

    x_train (N, 28, 28), y_train (N,), x_test (M, 28, 28), y_test (M,), all uint8, labels 0 to 9, N
    from 1,000 and M from 100 to 100,000. The first twelfth of the training images becomes the
    validation set. Raises ValueError, with one sentence, for anything else.
    """
    try:
        if len(data) > size_limit:
            size = f"{len(data) / 2**20:.1f} MiB, but {size_limit / 2**20:g}"
            raise Unusable(f"it has {size} are the limit")
        if data.count(b"PK\x01\x02") > _ENTRY_LIMIT:  # each costs memory before it can be looked at
            raise Unusable(f"it must hold exactly {', '.join(ARRAYS)}")
        arrays = read_npz(io.BytesIO(data), range(1_000, 100_001), range(100, 100_001))
    except Unusable as fault:
        raise ValueError(f"The uploaded file cannot be used: {fault}.") from fault
    found = as_dataset("uploaded data", "uploaded", (), arrays)
    return replace(found, name="MNIST") if found.checksum == MNIST_CHECKSUM else found
