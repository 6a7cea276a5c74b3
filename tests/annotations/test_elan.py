"""ELAN: tiers, notes, open slots, origins, and documents that are traps."""

from __future__ import annotations

import tempfile
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.annotations.conftest import ReadText
from tests.annotations.strategies import bouts, recordings, words

from lrcn.annotations.formats import read_annotations, write_annotations
from lrcn.bouts import Annotations, Bout
from lrcn.errors import ConfigError, DataError


def document(tiers: str, header: str = "", slots: str = "", after: str = "") -> str:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<ANNOTATION_DOCUMENT AUTHOR="" DATE="2024-01-01T00:00:00+00:00" FORMAT="3.0" VERSION="3.0">'
        f'<HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">{header}</HEADER>'
        f"<TIME_ORDER>{slots}</TIME_ORDER>{tiers}{after}</ANNOTATION_DOCUMENT>"
    )


def slot(number: int, time: int | None = None) -> str:
    return f'<TIME_SLOT TIME_SLOT_ID="ts{number}"' + ("" if time is None else f' TIME_VALUE="{time}"') + "/>"


def timed(number: int, first: int, last: int, value: str) -> str:
    return (
        f'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a{number}" TIME_SLOT_REF1="ts{first}" '
        f'TIME_SLOT_REF2="ts{last}"><ANNOTATION_VALUE>{value}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>'
    )


def note(number: int, target: int, value: str) -> str:
    return (
        f'<ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a{number}" ANNOTATION_REF="a{target}">'
        f"<ANNOTATION_VALUE>{value}</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>"
    )


MEDIA = (
    '<MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/x/a.mp4" MIME_TYPE="video/mp4" RELATIVE_MEDIA_URL="./a.mp4"/>'
    '<MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/x/a.wav" MIME_TYPE="audio/x-wav"/>'
    '<MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/x/b.mp4" MIME_TYPE="video/mp4" TIME_ORIGIN="500"/>'
)


def test_tiers_notes_and_open_slots_are_read(read_text: ReadText) -> None:
    slots = slot(1, 1000) + slot(2) + slot(3) + slot(4, 4000) + slot(5, 2000)
    tiers = (
        '<TIER TIER_ID="K-Spch" PARTICIPANT="K" LINGUISTIC_TYPE_REF="t">'
        + timed(1, 1, 2, "run") + timed(2, 2, 3, "rest") + timed(3, 3, 4, "run")
        + '</TIER><TIER TIER_ID="default" LINGUISTIC_TYPE_REF="t">' + timed(4, 1, 5, "jump")
        + '</TIER><TIER TIER_ID="groom" LINGUISTIC_TYPE_REF="t">' + timed(5, 5, 4, "")
        + '</TIER><TIER TIER_ID="how" PARENT_REF="K-Spch" LINGUISTIC_TYPE_REF="n">' + note(6, 1, "fast")
        + note(7, 6, "very") + '</TIER><TIER TIER_ID="comment@K" LINGUISTIC_TYPE_REF="n">' + note(8, 1, "look")
        + "</TIER>"
    )  # fmt: skip
    types = (
        '<LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="t" CONTROLLED_VOCABULARY_REF="v"/><CONTROLLED_VOCABULARY CV_ID="v">'
        '<CV_ENTRY DESCRIPTION="">run</CV_ENTRY><CV_ENTRY DESCRIPTION="">climb</CV_ENTRY></CONTROLLED_VOCABULARY>'
    )
    found = read_text("x.eaf", document(tiers, MEDIA, slots, types))
    first, second = found.recordings
    assert set(first.bouts) == {
        Bout("run", 1.0, 2.0, "K", ("fast", "very"), "look"),
        Bout("rest", 2.0, 3.0, "K"),
        Bout("run", 3.0, 4.0, "K"),
        Bout("jump", 1.0, 2.0),
        Bout("groom", 2.0, 4.0),
    }
    assert min(bout.start_s for bout in second.bouts) == 1.5  # its first half second lies before the others'
    assert (first.looked_at, found.num_events, found.labels[:2]) == (None, 5, ("run", "climb"))
    assert sum("'climb' is never annotated" in line for line in found.warnings) == 1


def test_every_bad_annotation_is_named(read_text: ReadText) -> None:
    slots = slot(1, 1000) + slot(2) + slot(3, 500)
    tiers = (
        '<TIER TIER_ID="default" LINGUISTIC_TYPE_REF="t">'
        + timed(2, 1, 3, "run") + timed(3, 3, 1, "") + timed(4, 3, 1, "rest") + timed(5, 9, 1, "x")
        + timed(1, 1, 2, "run")
        + '</TIER><TIER TIER_ID="n" LINGUISTIC_TYPE_REF="n">' + note(6, 77, "lost") + note(7, 7, "loop") + "</TIER>"
    )  # fmt: skip
    found = read_text("x.eaf", document(tiers, "", slots), looked_at="whole")
    (one,) = found.recordings
    assert one.bouts == (Bout("rest", 0.5, 1.0),)
    assert one.looked_at is None
    assert len(found.skipped) == 6
    assert found.num_events == 7


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (
            '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><ANNOTATION_DOCUMENT>&b;</ANNOTATION_DOCUMENT>',
            "DOCTYPE",
        ),
        ('<!DOCTYPE x SYSTEM "file:///etc/passwd"><ANNOTATION_DOCUMENT/>', "DOCTYPE"),
        ("<a>" * 5000, "levels deep"),
        ("<ANNOTATION_DOCUMENT><TIER>", "line 1: is no XML"),
        ('<?xml version="1.0" encoding="klingon"?><a/>', "is no XML"),
        ("<html/>", "was expected"),
        ("", "is no XML"),
    ],
)
def test_what_is_no_document_is_one_line(content: str, text: str, read_text: ReadText) -> None:
    with pytest.raises(DataError, match=text):
        read_text("x.eaf", content)


def test_utf16_is_read(read_text: ReadText) -> None:
    tiers = '<TIER TIER_ID="default" LINGUISTIC_TYPE_REF="t">' + timed(1, 1, 2, "läuft") + "</TIER>"
    text = document(tiers, MEDIA, slot(1, 0) + slot(2, 10)).replace("UTF-8", "UTF-16")
    assert read_text("x.eaf", text.encode("utf-16")).labels == ("läuft",)


modifiers = st.lists(words, max_size=3).map(tuple)


@given(
    recordings(
        bouts(points=False, modifiers=modifiers, subject=st.sampled_from(["", "m", "default", "m-2"])),
        most=1,
    )
)
@settings(max_examples=40)
def test_in_and_out_again_loses_nothing(given_: Annotations) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.eaf")
        put = given_.placed_in(Path(folder))  # type: ignore[attr-defined]
        write_annotations(put, path)
        back = read_annotations(path)
        _check_tiers(path)
    (one,), (other,) = back.recordings, put.recordings
    assert sorted(map(repr, one.bouts)) == sorted(map(repr, other.bouts))
    assert (one.path, back.labels) == (other.path, put.labels)


def _check_tiers(path: Path) -> None:
    """What ELAN asks of a tier: annotations in order, none over another, none empty; ids and names once each."""
    root = ElementTree.parse(path).getroot()
    times = {one.get("TIME_SLOT_ID"): int(one.get("TIME_VALUE", "")) for one in root.iter("TIME_SLOT")}
    ids = [one.get("ANNOTATION_ID") for tag in ("ALIGNABLE", "REF") for one in root.iter(f"{tag}_ANNOTATION")]
    names = [one.get("TIER_ID") for one in root.iter("TIER")]
    assert len(set(ids)) == len(ids)
    assert len(set(names)) == len(names)
    for tier in root.iter("TIER"):
        ends = [times[one.get(f"TIME_SLOT_REF{i}")] for one in tier.iter("ALIGNABLE_ANNOTATION") for i in (1, 2)]
        assert ends == sorted(ends)
        assert all(start < end for start, end in zip(ends[::2], ends[1::2], strict=True))


def test_a_folder_has_a_file_a_recording(tmp_path: Path, read_text: ReadText) -> None:
    found = read_text("a.csv", "path,label,start_s,end_s\na.mp4,run,1,5\nb.mp4,run,4,6\n")
    write_annotations(found, tmp_path / "out", format="elan")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.eaf", "b.eaf"]
    with pytest.raises(ConfigError, match="holds one recording"):
        write_annotations(found, tmp_path / "x.eaf")
