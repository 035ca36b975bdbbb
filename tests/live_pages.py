"""What the tests of the training pages share: a warm server and trainings that a test lets go."""

import io
import threading

import pandas as pd
import pyarrow as pa
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Widget

from normlib.run import EpochEnd, EpochResult, Progress, Run, Started
from pages.components import page


class Ready:
    """A server that has warmed up, on the data of the test."""

    def __init__(self, dataset) -> None:
        self.dataset = dataset

    def data_is_here(self) -> bool:
        return True

    def tensorflow_is_here(self) -> bool:
        return True


class Puppet:
    """Trains in two steps: the first at once, the second when the test lets go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.began = threading.Semaphore(0)
        self.trained: list[str] = []

    def __call__(self, config, data, on_event, should_stop) -> Run:
        self.trained.append(config.normalization)
        epoch = EpochResult(1, 0.0071, 0.4544, 0.87, 1.0)
        recorded = {
            "step": [2],
            "conv_units": [[[-1.0] * 30, [0.0] * 30, [1.0] * 30]],
            "hidden_units": [[[-1.0] * 8, [0.0] * 8, [1.0] * 8]],
            "dead_conv": [0.0],
            "dead_hidden": [0.25],
            "gradient_norms": [[1.0, 2.0, 3.0]],
            "kernel_lengths": [[3.0, 70.0, 3.0]],
            "updates": [[0.003, 0.001, 0.01]],
            "bias_gradient": [0.0],
        }
        known = {"config": config, "data_name": data.name, "data_checksum": data.checksum}
        on_event(Started(2, 2))
        on_event(Progress(1, 2, [2.5], [0.1], 0.5, 64.0))
        self.began.release()
        while not self.go.wait(0.01):
            if should_stop():
                return Run(**known, status="stopped", message="Stopped at step 1.", losses=[2.5])
        on_event(Progress(2, 2, [0.5], [0.9], 1.0, 64.0, {n: list(r) for n, r in recorded.items()}))
        on_event(EpochEnd(epoch))
        return Run(
            **known,
            status="finished",
            losses=[2.5, 0.5],
            epochs=[epoch],
            test_accuracy=0.875,
            seconds=1.0,
            images_per_second=64.0,
            recorded={**recorded, "batch_accuracies": [0.1, 0.9]},
            predictions=data.test_labels.copy(),
        )


def opened(name: str, browser: str = "first", session=(), **parameters: str) -> AppTest:
    """A page of `page.PAGES` as a deep link opens it, in a browser of that name.

    session: what the session has from before. The answers are shown unless a parameter says no.
    """
    app = AppTest.from_file(page.ROOT / page.PAGES[name].file, default_timeout=120)
    for key, value in ({"_session": browser} | dict(session)).items():
        app.session_state[key] = value
    app.query_params.update({"answers": "on"} | parameters)
    return ran(app)


def ran(app: AppTest | Widget) -> AppTest:
    """The page once more, with what a widget was set to."""
    drawn = app.run()
    assert not drawn.exception, drawn.exception
    return drawn


def pressed(app: AppTest, key: str) -> AppTest:
    return ran(app.button(key=key).click())


def words(app: AppTest) -> str:
    """All that the page says, the progress bars among it."""
    kinds = (app.success, app.info, app.warning, app.caption, app.markdown)
    said = [element.value for kind in kinds for element in kind]
    return "\n".join([*said, *(element.proto.text for element in app.get("progress"))])


def metrics(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def charts(app: AppTest) -> int:
    """How many there are to be seen."""
    return sum('"width": 1,' not in one.proto.spec for one in app.get("vega_lite_chart"))


def data(app: AppTest) -> list[pd.DataFrame]:
    """What each chart of the page draws."""
    charts = app.get("vega_lite_chart")
    parts = [(one.proto.data, *(named.data for named in one.proto.datasets)) for one in charts]
    sent = [next(part.data for part in those if part.data) for those in parts]
    return [pa.ipc.open_stream(io.BytesIO(part)).read_pandas() for part in sent]
