"""The pages of the app, in one table, and the links between them."""

from __future__ import annotations

import io
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit

import segno
import streamlit as st
from streamlit.errors import StreamlitPageNotFoundError

from pages.components import controls

ROOT = Path(__file__).parents[2]


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# What decides a training, in the order in which pages show it.
TRAINING = _names(
    "batch lr epochs images eps hidden placement scale0 start seed learn inference momentum "
    "position center scale ghost groups"
)


@dataclass(frozen=True)
class Page:
    """One page as the navigation shows it.

    number: in the name of its file; the order of the navigation is that of `PAGES`.
    controls: the settings on it, in the order of its link (rows of `controls.CONTROLS`); where
        `views`, the first chooses one.
    limits: upper limits that differ on this page.
    views: whether the page has several lessons.
    """

    name: str
    number: int
    title: str
    icon: str
    group: str
    about: str
    controls: tuple[str, ...] = ()
    limits: Mapping[str, float] = field(default_factory=dict)
    views: bool = True

    @property
    def file(self) -> str:
        """Its script, from the root of the project."""
        return f"pages/{self.number}_{self.path}.py" if self.number else "app.py"

    @property
    def path(self) -> str:
        """Its name in the address bar."""
        return self.title.replace(" ", "_") if self.number else ""


def _pages(*pages: Page) -> dict[str, Page]:
    return {page.name: page for page in pages}


PAGES = _pages(
    Page("home", 0, "Normalization Lab", "home", "", "The idea in one screen.", views=False),
    Page(
        *("steps", 1, "Step by step", "calculate", "Understand"),
        "A small table, every step of every method with the numbers put in.",
        _names("show method eps gamma beta affine row column at x v g seed"),
    ),
    Page(
        *("activations", 2, "Activation statistics", "bar_chart", "Understand"),
        "One batch of digits, and what each method does to its activations.",
        _names("view batch eps seed stage methods start weights"),
        limits={"batch": 128},  # more images look the same, and thirty students wait for them
    ),
    Page(
        *("backward", 6, "Backward pass", "undo", "Understand"),
        "The gradient in three terms, checked four ways.",
        _names("pass method eps gamma dz mistake row column bias stage lr seed x"),
    ),
    Page(
        *("train", 3, "Train", "play_circle", "Experiment"),
        "Train the small network with your settings, live.",
        ("method", *TRAINING, *_names("look stage units kernels misread channel over run")),
        limits={"batch": 1024},
        views=False,
    ),
    Page(
        *("compare", 4, "Compare", "compare_arrows", "Experiment"),
        "The methods side by side: same start, same batches.",
        (*_names("among methods method cuts rates bigger seeds"), *TRAINING, "run"),
        limits={"batch": 1024},
    ),
    Page(
        *("batch_lab", 7, "Batch size lab", "groups", "Experiment"),
        "Small batches, batch-mates, training vs. inference.",
        _names(
            "lab against batch momentum layers recalibrated crowd mates pinned methods "
            "held lr seeds from"
        ),
    ),
    Page(
        *("depth", 10, "Depth lab", "layers", "Experiment"),
        "Twenty layers: where normalization decides.",
        _names("deep depth sigma residual method measure layer lr methods seed"),
    ),
    Page(
        *("why", 11, "Why it works", "psychology", "Experiment"),
        "Covariate shift, smoothness, effective learning rate; batch norm deployed.",
        _names("why drift rough deepness rules ported"),
    ),
    Page(
        *("report", 5, "Report", "fact_check", "Check"),
        "The report's three tables, reproduced, and why weight norm lost.",
        _names("part setting numbers quantity defaults batch eps seed"),
        limits={"batch": 128},  # a comparison takes memory in proportion, for a moment
    ),
    Page(
        *("write", 8, "Write it yourself", "edit_note", "Check"),
        "Write each normalization; what is wrong gets a name.",
        ("exercise",),
        views=False,
    ),
    Page(
        *("teach", 9, "Teach", "co_present", "Class"),
        "Ask a class, collect its votes, reveal; plans for 45 and 90 minutes.",
        ("plan",),
        views=False,
    ),
)


@dataclass(frozen=True)
class Place:
    """Where a button leads: to a page, and there to a view, with the settings as they stand, or to
    a lesson, with the settings of its own."""

    page: str
    view: str = ""
    state: Mapping[str, Any] | None = None
    lesson: str = ""

    def parameters(self) -> dict[str, str]:
        """What its address says."""
        names = PAGES[self.page].controls
        parameters = controls.link_parameters(names, self.state, lesson=self.lesson)
        if self.view:
            parameters[names[0]] = controls.CONTROLS[names[0]].format(self.view)
        return parameters

    def go(self) -> None:
        """Open it."""
        parameters = self.parameters()
        if self.page == controls.page():  # a switch to the page itself leaves the address bar
            st.query_params.from_dict(parameters)
            st.rerun()
        st.switch_page(str(ROOT / PAGES[self.page].file), query_params=parameters)


def views() -> list[Place]:
    """Every view of every page in the order of the navigation."""
    return [
        Place(page.name, view)
        for page in PAGES.values()
        for view in (controls.CONTROLS[page.controls[0]].choices if page.views else [""])
    ]


def link(
    name: str,
    *,
    label: str = "",
    width: Literal["content", "stretch"] = "content",
    state: Mapping[str, Any] | None = None,
    lesson: str = "",
) -> None:
    """A link to a page that takes the settings along.

    state: setting name -> value, to open the page so instead, everything else at its default.
    lesson: the lesson that is shown there.
    """
    page = PAGES[name]
    label = label or ("Home" if name == "home" else page.title)
    parameters = controls.link_parameters(page.controls, state, lesson=lesson)
    if state is None:
        controls.note_link(name, parameters)
    _page_link(page, label, parameters, width=width)


def _page_link(page: Page, label: str, parameters: Mapping[str, str], **look: Any) -> None:
    try:
        st.page_link(
            str(ROOT / page.file),
            label=label,
            icon=f":material/{page.icon}:",
            help=page.about,
            query_params=dict(parameters),
            **look,
        )
    except StreamlitPageNotFoundError:
        # A page that was started by itself, as a test does, has no other pages to link to.
        st.markdown(f":material/{page.icon}: {label}")


def address(*, presented: bool = True, host: str = "") -> str:
    """The link to what is on screen, without what is at its default: short enough to scan.

    presented: with `present=`, where it is presented. host: in place of the address bar's.
    """
    state = controls.link_parameters(changed_only=True, lesson=controls.lesson())
    if not presented:
        state.pop("present", None)
    bare = (st.context.url or "").split("?")[0]
    if host:
        parts = urlsplit(bare)
        bare = parts._replace(netloc=f"{host}:{parts.port}" if parts.port else host).geturl()
    return f"{bare}?{urlencode(state, safe=',')}" if state else bare


def link_to(page: str, **parameters: str) -> str:
    """The whole link to a page, at this machine's address in its network where the bar's is local.

    It has these parameters and no settings.
    """
    parts = urlsplit((st.context.url or "").split("?")[0])
    here = PAGES[controls.page()].path if controls.page() else ""
    root = parts.path.removesuffix("/").removesuffix(here).removesuffix("/")
    if is_local() and (host := room_address()):
        parts = parts._replace(netloc=f"{host}:{parts.port}" if parts.port else host)
    return parts._replace(path=f"{root}/{PAGES[page].path}", query=urlencode(parameters)).geturl()


def here() -> str:
    """What is on screen as `page?settings`: for `follow`, in another session."""
    parameters = controls.link_parameters(lesson=controls.lesson(), framed=False)
    return f"{controls.page()}?{urlencode(parameters)}"


def place_of(page: str, state: Mapping[str, Any]) -> str:
    """The same of another page, with these settings and else the defaults."""
    parameters = controls.link_parameters(PAGES[page].controls, state, framed=False)
    return f"{page}?{urlencode(parameters)}"


def follow(place: str, label: str = "") -> None:
    """A link to what `here` wrote down."""
    name, _, query = place.partition("?")
    page = PAGES[name]
    _page_link(page, label or page.title, dict(parse_qsl(query)), width="stretch")


def qr_code(text: str) -> bytes:
    """A picture of a link, as a PNG."""
    picture = io.BytesIO()
    segno.make(text, micro=False).save(picture, kind="png", scale=8, border=2)
    return picture.getvalue()


def is_local() -> bool:
    """Whether the address bar's host is this machine: others cannot follow such a link."""
    return (urlsplit(st.context.url or "").hostname or "") in ("localhost", "127.0.0.1", "::1")


def room_address() -> str:
    """This machine's address in its network; nothing without a network. It sends no packet."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # kept for documentation: nobody is there
        except OSError:
            return ""
        return str(probe.getsockname()[0])
