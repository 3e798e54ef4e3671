"""What the page shows, and that it is safe to send and to open."""

from __future__ import annotations

import base64
import configparser
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from speechbrain_siamese.evaluation.html_report import (
    FIGURES,
    render_report,
    shown,
    text_table,
    write_report,
)

PNG = b"\x89PNG\r\n\x1a\nnot much of a picture"
SOUND = "data:audio/mpeg;base64,//OIxAAA"
FOUND = {
    "eer": 0.12345,
    "eer_interval": [0.1086, 0.2079],
    "min_dcf_0.01": 0.98765,
    "cllr": 0.45678,
    "auc": 1.0,
    "threshold": -0.0001,
    "threshold_from": "validation trials",
    "accuracy": 0.5,
    "trials_dissimilar": 1234567,
    "calibration_error": None,
    "clips_used": 12,
}
READ = {
    "eer": "12.3 %",
    "eer_interval": "10.9 to 20.8 %",
    "min_dcf_0.01": "0.988",
    "cllr": "0.457",
    "auc": "1.000",
    "threshold": "-1.0e-04",
    "threshold_from": "validation trials",
    "accuracy": "50.0 %",
    "trials_dissimilar": "1,234,567",
    "calibration_error": "–",
    "clips_used": "12",
}
NAMES = {
    "script": "<script>alert('x')</script>.wav",
    "quotes": 'a"onerror="x\' & b.wav',
    "style": "</style><img src=https://example.org/a.png>",
    "template": "{{ 7 * 7 }}{% raw %}",
    "devanagari": "वक्ता/रिकॉर्डिंग १.m4a",
    "emoji": "😀 voice.ogg",
    "right to left": "متكلم\u202egpj.wav",
}
NO_END = {"meta", "link", "img", "br"}


class Page(HTMLParser):
    """A page as a browser takes it apart."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open = [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        element = {"tag": tag, "text": "", "inside": [], **dict(attrs)}
        element["inside"] = [each["tag"] for each in self.open]
        element["parents"] = list(self.open)
        self.elements.append(element)
        if tag not in NO_END:
            self.open.append(element)

    def handle_endtag(self, tag):
        assert self.open.pop()["tag"] == tag

    def handle_data(self, data):
        for element in self.open:
            element["text"] += data

    def all(self, tag, **attributes):
        """The elements of a tag that have these attributes."""
        return [
            element
            for element in self.elements
            if element["tag"] == tag
            and all(element.get(key) == attributes[key] for key in attributes)
        ]


def a_report(name="model", errors=2, unusable=3, **changes):
    """A report with one name everywhere that a user's name may be."""
    return {
        "title": f"Evaluation of {name}",
        "headline": "12.3 % are wrong.",
        "command": f"python evaluate.py --model='{name}'",
        "settings": {"model": name, "lengths": [1, 2], "peer": None},
        "versions": {"torch": "2.14.0"},
        "seconds": 345.2,
        "peak_mb": 1834.4,
        "unusable": [
            {"file": f"{name}{k}", "reason": f"no sound in {name}"}
            for k in range(unusable)
        ],
        "tables": [
            {
                "key": f"systems-{k}",
                "title": f"Unknown voices {k}",
                "note": f"On {name}.",
                "kind": "trials",
                "columns": list(FOUND),
                "rows": [
                    {
                        "name": name,
                        "scores": f"scores/{name}.txt",
                        "note": f"of {name}",
                        "figures": FOUND,
                    },
                    {
                        "name": "random",
                        "scores": "scores/random.txt",
                        "note": "",
                        "figures": {"eer": 0.5},
                    },
                ],
            }
            for k in range(2)
        ],
        "pictures": [
            {
                "key": "det",
                "title": f"DET of {name}",
                "caption": f"Caption of {name}",
                "file": "figures/det.png",
            }
        ],
        "errors": [
            {
                "kind": kind,
                "set": f"set of {name}",
                "enrol": name,
                "test": f"{k}",
                "score": 0.81251 + k,
                "threshold": 0.4,
                "probability": None,
            }
            for kind in ("false accept", "false reject")
            for k in range(errors)
        ],
        **changes,
    }


@pytest.fixture
def folder(tmp_path):
    """An output folder with the picture that the report names."""
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "det.png").write_bytes(PNG)
    return tmp_path


@pytest.mark.parametrize("key", FOUND)
def test_figure_is_shown_in_its_format(key):
    assert shown(key, FOUND[key]) == READ[key]


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("eer", 0, "0.0 %"),
        ("eer", 1, "100.0 %"),
        ("eer_interval", None, "–"),
        ("recall", 0.99951, "100.0 %"),
        ("precision", 0.0625, "6.2 %"),
        ("adjusted_rand", -0.25, "-0.250"),
        ("threshold", 1234.5, "1,234.500"),
    ],
)
def test_edge_figures_are_shown_in_their_format(key, value, text):
    assert shown(key, value) == text


def test_every_figure_is_in_the_page_beside_its_scores(folder):
    page = Page(render_report(a_report(), folder, {}))
    rows = page.all("tr", **{"data-scores": "scores/model.txt"})
    assert len(rows) == 2
    for row in rows:
        cells = {
            cell["data-figure"]: cell["text"]
            for cell in page.all("td")
            if row in cell["parents"]
        }
        assert cells == READ
    for row in page.all("tr", **{"data-scores": "scores/random.txt"}):
        texts = [c["text"] for c in page.all("td") if row in c["parents"]]
        assert texts == ["50.0 %"] + ["–"] * (len(FOUND) - 1)


def test_column_heads_and_glossary_explain_the_figures(folder):
    page = Page(render_report(a_report(), folder, {}))
    for key in FOUND.keys() & FIGURES.keys():
        head, meaning = FIGURES[key]
        heads = [h for h in page.all("th", title=meaning) if h["text"] == head]
        assert len(heads) == 2
        links = page.all("a", href=f"#figure-{key}")
        assert [link["text"] for link in links] == [head] * 2
        (entry,) = page.all("div", id=f"figure-{key}")
        assert entry["text"] == head + meaning
    # Nothing is explained that no table shows.
    assert not page.all("div", id="figure-rand")
    assert "clips used" in [head["text"] for head in page.all("th")]


def test_explanations_are_one_sentence():
    for _, meaning in FIGURES.values():
        assert meaning.endswith(".")
        assert meaning.count(". ") == 0


def test_parts_come_in_order(folder):
    text = render_report(a_report(), folder, {})
    heads = [head["text"] for head in Page(text).all("h2")]
    assert heads == [
        "Figures",
        "Pictures",
        "Worst errors",
        "Unusable files",
        "How this was measured",
        "What the figures mean",
    ]
    assert "5 min 45 s; at most 1,834 MB" in text


def test_memory_that_the_system_does_not_tell_is_left_out(folder):
    text = render_report({**a_report(), "peak_mb": None}, folder, {})
    assert "<p>5 min 45 s.</p>" in text


def test_pictures_and_players_are_inside_the_page(folder):
    page = Page(render_report(a_report(), folder, {"model": SOUND}))
    (picture,) = page.all("img")
    kind, data = picture["src"].split(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(data, validate=True) == PNG
    assert picture["alt"] == "DET of model"
    players = page.all("audio")
    # The other side has no sound.
    assert [player["src"] for player in players] == [SOUND] * 4
    assert {p["aria-label"] for p in players} == {"Enrolment: model"}


def test_errors_show_score_threshold_and_probability_under_their_kind(folder):
    report = a_report(errors=1)
    report["errors"].reverse()
    page = Page(render_report(report, folder, {}))
    values = [
        (each["data-figure"], each["text"])
        for each in page.all("dd")
        if "data-figure" in each
    ]
    assert values == 2 * [
        ("score", "0.813"),
        ("threshold", "0.400"),
        ("probability", "–"),
    ]
    heads = [head["text"] for head in page.all("h3")]
    assert heads.index("False accepts") < heads.index("False rejects")


@pytest.mark.parametrize(("count", "folded"), [(10, False), (11, True)])
def test_many_unusable_files_are_folded(folder, count, folded):
    page = Page(render_report(a_report(unusable=count), folder, {}))
    files = [cell for cell in page.all("td") if "no sound" in cell["text"]]
    assert len(files) == count
    assert all(("details" in cell["inside"]) == folded for cell in files)


def test_report_without_errors_pictures_or_unusable_files_is_a_page(folder):
    report = a_report(errors=0, unusable=0, pictures=[])
    page = Page(render_report(report, folder, {}))
    assert not page.open
    text = " ".join(each["text"] for each in page.all("p"))
    assert "none to show" in text
    assert "Every file could be used" in text


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_hostile_and_foreign_names_are_text(folder, name):
    plain = Page(render_report(a_report(), folder, {"model": SOUND}))
    page = Page(render_report(a_report(name), folder, {name: SOUND}))

    def skeleton(page):
        return [(e["tag"], sorted(e.keys())) for e in page.elements]

    # No element and no attribute more than with a harmless name.
    assert skeleton(page) == skeleton(plain)
    assert page.all("title")[0]["text"] == f"Evaluation of {name}"
    assert page.all("audio")[0]["aria-label"] == f"Enrolment: {name}"
    assert page.all("img")[0]["alt"] == f"DET of {name}"
    assert page.all("code")[0]["text"] == f"python evaluate.py --model='{name}'"
    assert page.all("tr", **{"data-scores": f"scores/{name}.txt"})
    names = [each["text"] for each in page.all("bdi")]
    # Two rows, four errors and the sets they are of, three files.
    assert sum(name in each for each in names) == 2 + 8 + 3


def test_page_asks_the_network_for_nothing(folder):
    text = render_report(a_report(), folder, {"model": SOUND})
    page = Page(text)
    for element in page.elements:
        assert element["tag"] not in {"script", "iframe", "object", "base"}
        for key in ("src", "href", "srcset", "action", "data", "poster"):
            assert re.match(r"data:|#", element.get(key, "#"))
    assert not re.search(r"url\(|@import|https?:", text.lower())
    (policy,) = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert policy["content"].startswith("default-src 'none'")


def test_links_inside_the_page_lead_somewhere_and_ids_are_unique(folder):
    page = Page(render_report(a_report(), folder, {}))
    ids = [each["id"] for each in page.elements if "id" in each]
    assert len(ids) == len(set(ids))
    wanted = [link["href"][1:] for link in page.all("a")]
    for each in page.elements:
        wanted += each.get("aria-labelledby", "").split()
    assert wanted
    assert set(wanted) <= set(ids)


def test_screen_readers_find_their_way(folder):
    page = Page(render_report(a_report(), folder, {"model": SOUND}))
    assert page.all("html")[0]["lang"] == "en"
    levels = [
        int(each["tag"][1])
        for each in page.elements
        if re.fullmatch("h[1-6]", each["tag"])
    ]
    assert levels[0] == 1
    assert levels.count(1) == 1
    steps = pairwise(levels)
    assert all(after <= before + 1 for before, after in steps)
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(head["scope"] in ("col", "row") for head in page.all("th"))
    # Whoever has no mouse can scroll what is wide.
    for box in page.all("div", **{"class": "wide"}):
        assert (box["role"], box["tabindex"]) == ("region", "0")


def contrast(one, other):
    """WCAG's contrast of two colours."""

    def light(colour):
        parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [
            p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4
            for p in parts
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)


def test_light_and_dark_are_legible(folder):
    text = render_report(a_report(), folder, {})
    schemes = re.findall(r":root \{(.*?)\}", text, flags=re.DOTALL)
    assert len(schemes) == 2
    for scheme in schemes:
        colours = dict(re.findall(r"--(\w+): (#\w{6})", scheme))
        for ink in ("text", "soft", "accent"):
            for ground in ("page", "band"):
                assert contrast(colours[ink], colours[ground]) > 4.5


@pytest.mark.parametrize(
    ("players", "break_picture", "message"),
    [
        ({}, True, r"figures.det\.png"),
        ({"a.wav": "https://example.org/a.mp3"}, False, "player of a.wav"),
    ],
)
def test_what_is_not_there_is_named_and_no_page_made(
    folder, players, break_picture, message
):
    if break_picture:
        (folder / "figures" / "det.png").unlink()
    with pytest.raises(ValueError, match=message):
        write_report(a_report(), folder, players)
    assert not list(folder.glob("*.html"))


def test_written_page_is_the_rendered_one(folder):
    name = NAMES["devanagari"]
    path = write_report(a_report(name), folder, {name: SOUND})
    assert path == folder / "evaluation.html"
    expected = render_report(a_report(name), folder, {name: SOUND})
    assert path.read_bytes().decode("utf-8") == expected


def test_file_name_that_is_no_utf8_does_not_stop_the_page(folder):
    path = write_report(a_report("a\udcff.wav"), folder, {})
    assert "a\\udcff.wav" in path.read_text(encoding="utf-8")


def test_failed_write_keeps_the_old_page_whole(folder, little_room):
    path = write_report(a_report(), folder, {})
    before = path.read_bytes()
    with (
        little_room(len(before) // 2),
        pytest.raises(OSError, match="too large"),
    ):
        write_report(a_report("other"), folder, {})
    assert path.read_bytes() == before
    assert sorted(p.name for p in folder.iterdir()) == [path.name, "figures"]


def test_text_table_is_aligned_and_holds_the_chosen_figures():
    table = a_report("वक्ता 😀")["tables"][0]
    columns = ["eer", "threshold_from", "trials_dissimilar"]
    lines = text_table({**table, "columns": columns}).split("\n")
    assert lines == [
        "Unknown voices 0",
        "name        EER  threshold from     trials, different",
        # Three letters, three signs on them, a space, an emoji of two places.
        "वक्ता 😀  12.3 %  validation trials          1,234,567",
        "random   50.0 %  –                                  –",
    ]


def test_template_is_part_of_the_package():
    setup = configparser.ConfigParser()
    setup.read(Path(__file__).parents[2] / "setup.cfg", encoding="utf-8")
    patterns = setup["options.package_data"]["speechbrain_siamese.pages"]
    assert Path("evaluation.html.jinja").match(patterns)
