"""What in folders, patterns and lists is an input, under which name, and what is passed over."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brightspot import readers
from brightspot.errors import ReadError, UsageError
from brightspot.readers import Input, find_inputs, inputs, read_frame, read_frames

SHARED = Path(__file__).parents[2] / "shared"
PIXELS = (np.arange(32 * 40).reshape(32, 40) % 251).astype(np.uint8)
KEYS = "LINES = 32\r\nLINE_SAMPLES = 40\r\nSAMPLE_BITS = 8\r\nSAMPLE_TYPE = UNSIGNED_INTEGER\r\n"


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(PIXELS).save(path)
    return path


def label(path, pointer):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = f"PDS_VERSION_ID = PDS3\r\nRECORD_BYTES = 1280\r\n{pointer}\r\n"
    text += f"OBJECT = IMAGE\r\n{KEYS}END_OBJECT\r\nEND\r\n"
    path.write_bytes(text.encode())
    return path


def data(path):
    path.write_bytes(PIXELS.tobytes())
    return path


def attached(path):
    label(path, "^IMAGE = 2")
    path.write_bytes(path.read_bytes().ljust(1280) + PIXELS.tobytes())
    return path


def names(*paths):
    return [item.name for item in find_inputs(paths)]


def problems(*paths):
    return {item.name: item.problem for item in find_inputs(paths) if item.problem}


def test_a_folder_of_everything(tmp_path):
    picture(tmp_path / "b.png")
    attached(tmp_path / "a.IMG")
    picture(tmp_path / "sub/deep/c.JPG")
    picture(tmp_path / ".hidden/x.png")
    picture(tmp_path / ".x.png")
    picture(tmp_path / "old/overlays/x.png")
    (tmp_path / "old/run.json").write_text("{}")
    for name in (
        "n.txt",
        "n.md",
        "n.csv",
        "n.toml",
        "n.bsp",
        "n.tls",
        "n.tpc",
        "n.ti",
        "n.xc",
        "isd.json",
        "none",
    ):
        (tmp_path / name).write_text("PDS_VERSION_ID = PDS3")
    (tmp_path / "other.xml").write_text("<html/>")
    (tmp_path / "table.lbl").write_text(
        'PDS_VERSION_ID = PDS3\n^TABLE = "T.TAB"\nOBJECT = TABLE\nEND_OBJECT\nEND\n'
    )
    items = list(find_inputs(tmp_path))
    assert [(i.name, i.reader, i.problem) for i in items] == [
        ("a.IMG", "dawn", None),
        ("b.png", "picture", None),
        ("sub/deep/c.JPG", "picture", None),
    ]
    assert [f.name for i in items for f in read_frames(i)] == ["a.IMG", "b.png", "sub/deep/c.JPG"]


def test_label_and_data_are_one_input(tmp_path):
    label(tmp_path / "A.LBL", '^IMAGE = "a.img"')
    data(tmp_path / "A.IMG")
    label(tmp_path / "b.lbl", '^IMAGE = ("X_B.IMG", 1)')
    data(tmp_path / "x_b.img")
    label(tmp_path / "C.IMG.LBL", "^IMAGE = 1")
    data(tmp_path / "C.IMG")
    found = {i.name: [f.name for f in i.files] for i in find_inputs(tmp_path)}
    assert found == {
        "A.LBL": ["A.LBL", "A.IMG"],
        "C.IMG.LBL": ["C.IMG.LBL", "C.IMG"],
        "b.lbl": ["b.lbl", "x_b.img"],
    }
    for item in find_inputs(tmp_path):
        (frame,) = read_frames(item)
        np.testing.assert_array_equal(frame.image, PIXELS)


@pytest.mark.parametrize(
    "order", [("A.LBL", "X.IMG"), ("X.IMG", "A.LBL"), ("X.IMG", "X.IMG"), ("X.IMG", ".")]
)
def test_the_same_data_are_found_once(tmp_path, order):
    label(tmp_path / "A.LBL", '^IMAGE = "X.IMG"')
    data(tmp_path / "X.IMG")
    (item,) = find_inputs([tmp_path / name for name in order])
    assert [f.name for f in item.files] == ["A.LBL", "X.IMG"] and item.problem is None


def test_two_labels_of_the_same_data_are_one_input(tmp_path):
    label(tmp_path / "A.LBL", '^IMAGE = "A.IMG"')
    data(tmp_path / "A.IMG")
    xml = "<Product_Observational><file_name>A.IMG</file_name><Array_2D_Image/></Product_Observational>"
    (tmp_path / "A.xml").write_text(xml)
    assert names(tmp_path) == ["A.LBL"]


def test_a_label_of_the_fits_twin_leaves_the_img_alone(tmp_path):
    """The archive has each frame as FITS with a label beside it and as IMG with a label inside."""
    label(tmp_path / "A.LBL", '^IMAGE = ("A.FIT", 2)')
    (tmp_path / "A.FIT").write_bytes(b"SIMPLE  =                    T".ljust(2880))
    attached(tmp_path / "A.IMG")
    assert names(tmp_path) == ["A.IMG", "A.LBL"]
    np.testing.assert_array_equal(read_frame(tmp_path / "A.IMG").image, PIXELS)
    (tmp_path / "A.FIT").unlink()
    assert names(tmp_path) == ["A.IMG", "A.LBL"]
    assert "A.FIT is missing" in problems(tmp_path)["A.LBL"]


def test_what_lacks_its_other_half_is_named(tmp_path):
    label(tmp_path / "A.LBL", '^IMAGE = "GONE.IMG"')
    data(tmp_path / "B.IMG")
    (tmp_path / "C.LBL").write_bytes(b"")
    assert names(tmp_path) == ["A.LBL", "B.IMG", "C.LBL"]
    assert "GONE.IMG is missing" in problems(tmp_path)["A.LBL"]
    assert "empty" in problems(tmp_path)["C.LBL"]
    with pytest.raises(ReadError, match=r"B\.IMG has no label"):
        read_frame(tmp_path / "B.IMG")


def test_a_labelled_press_picture_is_a_picture(tmp_path):
    picture(tmp_path / "A.JPG")
    label(tmp_path / "A.LBL", '^IMAGE = "A.JPG"')
    assert [(i.name, i.reader) for i in find_inputs(tmp_path)] == [("A.JPG", "picture")]


def test_files_given_by_themselves_are_always_named(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "T.LBL").write_text('PDS_VERSION_ID = PDS3\n^TABLE = "T.TAB"\nEND\n')
    (tmp_path / "empty.dat").write_bytes(b"")
    picture(tmp_path / "a.png")
    given = [tmp_path / n for n in ("notes.txt", "T.LBL", "empty.dat", "gone.png", "a.png")]
    found = problems(*given)
    assert set(found) == {"notes.txt", "T.LBL", "empty.dat", str(tmp_path / "gone.png")}
    assert "not an image" in found["notes.txt"] and "does not exist" in found[str(tmp_path / "gone.png")]
    assert names(*given)[-1] == "a.png"
    attached(tmp_path / "odd.dat")
    assert problems(tmp_path / "odd.dat") == {} and names(tmp_path / "odd.dat") == ["odd.dat"]


def test_nothing_of_what_is_given_exists(tmp_path):
    with pytest.raises(UsageError, match="no such file or folder"):
        list(find_inputs([tmp_path / "x", tmp_path / "y" / "*.png"]))
    assert list(find_inputs(tmp_path)) == [] and list(find_inputs([])) == []


def test_names_stay_apart_when_several_folders_are_given(tmp_path):
    for folder in ("2015/a", "2015/b", "2016/a"):
        picture(tmp_path / folder / "x.png")
    assert names(tmp_path / "2015") == ["a/x.png", "b/x.png"]
    assert names(tmp_path / "2015/a", tmp_path / "2015/b") == ["a/x.png", "b/x.png"]
    assert names(tmp_path / "2015/a", tmp_path / "2016/a") == ["2015/a/x.png", "2016/a/x.png"]
    assert names(tmp_path / "2015/a/x.png", tmp_path / "2016/a/x.png") == ["2015/a/x.png", "2016/a/x.png"]
    assert names(tmp_path / "2015/a/x.png", tmp_path / "2015/b") == ["x.png", "b/x.png"]
    assert names(tmp_path / "2015/a", tmp_path / "2015/a") == ["x.png"]
    assert names(tmp_path / "2015/a", tmp_path / "2015") == ["a/x.png", "2015/b/x.png"]
    everything = names(tmp_path / "2015/a", tmp_path / "2015", tmp_path)
    assert len(everything) == len(set(everything)) == 3


def test_relative_paths(tmp_path, monkeypatch):
    picture(tmp_path / "in/x.png")
    monkeypatch.chdir(tmp_path / "in")
    assert names(".") == names("x.png") == names("../in") == names("*.png") == ["x.png"]


def test_patterns(tmp_path):
    for name in ("a1.png", "a2.png", "b1.png", "s/a1.png", "s/t/a1.png", "a.d/z.png"):
        picture(tmp_path / name)
    label(tmp_path / "s/A.LBL", '^IMAGE = "A.IMG"')
    data(tmp_path / "s/A.IMG")
    assert names(f"{tmp_path}/a*.png") == ["a1.png", "a2.png"]
    assert names(f"{tmp_path}/**/a1.png") == ["a1.png", "s/a1.png", "s/t/a1.png"]
    assert names(f"{tmp_path}/*/a1.png") == ["s/a1.png"]
    assert names(f"{tmp_path}/*.d") == ["a.d/z.png"]
    assert names(f"{tmp_path}/s/*.IMG") == names(f"{tmp_path}/s/*.LBL") == ["A.LBL"]
    assert names(f"{tmp_path}/x*") == []
    odd = picture(tmp_path / "odd[1].png")
    assert names(odd) == ["odd[1].png"]


def test_links_in_circles(tmp_path):
    picture(tmp_path / "a/x.png")
    (tmp_path / "a/up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "a/again").symlink_to(tmp_path / "a", target_is_directory=True)
    (tmp_path / "y.png").symlink_to(tmp_path / "a/x.png")
    (tmp_path / "self.png").symlink_to("self.png")
    (tmp_path / "dead.png").symlink_to("nowhere.png")
    assert sorted(names(tmp_path)) == ["dead.png", "self.png", "y.png"]
    assert set(problems(tmp_path)) == {"dead.png", "self.png"}
    assert names(f"{tmp_path}/**/*.png").count("y.png") == 1


def test_hard_links_are_files_of_their_own(tmp_path):
    picture(tmp_path / "a/x.png")
    (tmp_path / "b").mkdir()
    os.link(tmp_path / "a/x.png", tmp_path / "a/y.png")
    os.link(tmp_path / "a/x.png", tmp_path / "b/x.png")
    (tmp_path / "a/link.png").symlink_to(tmp_path / "a/y.png")
    (tmp_path / "again").symlink_to(tmp_path / "a", target_is_directory=True)
    assert names(tmp_path) == ["a/link.png", "a/x.png", "b/x.png"]  # link.png stands for y.png
    (tmp_path / "a/link.png").unlink()
    assert names(tmp_path) == ["a/x.png", "a/y.png", "b/x.png"]
    assert names(tmp_path / "a/x.png", tmp_path / "a/y.png") == ["x.png", "y.png"]


def test_pipes_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "a.IMG")
    os.mkfifo(tmp_path / "b.LBL")
    found = problems(tmp_path)
    assert "pipe" in found["a.IMG"] and "pipe" in found["b.LBL"]
    assert "pipe" in problems(tmp_path / "a.IMG")["a.IMG"]


@pytest.mark.parametrize("name", ["a\nb.png", "a\rb.png", "a\x1b[31mb.png"])
def test_names_with_control_characters_are_refused(tmp_path, name):
    picture(tmp_path / name)
    ((found, problem),) = problems(tmp_path).items()
    assert "control characters" in problem and found.isprintable()
    with pytest.raises(ReadError) as caught:
        list(read_frames(next(iter(find_inputs(tmp_path)))))
    assert str(caught.value).isprintable()


def test_names_that_are_no_text(tmp_path):
    raw = os.fsencode(tmp_path) + b"/caf\xe9.png"
    with open(raw, "wb") as file:  # noqa: PTH123
        Image.fromarray(PIXELS).save(file, "PNG")
    (item,) = find_inputs(tmp_path)
    item.name.encode("utf-8")
    assert "rename" in item.problem


def test_odd_but_honest_names_are_kept(tmp_path):
    for name in ("=1+1.png", "<b>ö &amp;.png", "a b#3.png", "日本.png"):
        picture(tmp_path / name)
    assert sorted(names(tmp_path)) == sorted(["=1+1.png", "<b>ö &amp;.png", "a b#3.png", "日本.png"])
    assert read_frame(tmp_path / "a b#3.png").name == "a b#3.png"


def test_a_folder_without_access_is_named(tmp_path, monkeypatch):
    picture(tmp_path / "a/x.png")
    picture(tmp_path / "b/x.png")
    scandir = os.scandir

    def deny(path):
        if Path(path).name == "a":
            raise PermissionError(13, "Permission denied")  # as root every folder may be read
        return scandir(path)

    monkeypatch.setattr(os, "scandir", deny)
    assert names(tmp_path) == ["a", "b/x.png"]
    assert "Permission denied" in problems(tmp_path)["a"]


def test_results_folder_given_by_itself(tmp_path):
    picture(tmp_path / "overlays/x.png")
    (tmp_path / "run.json").write_text("{}")
    assert "results folder" in problems(tmp_path)[tmp_path.name]


def test_read_frame_says_what_is_wrong(tmp_path):
    for path, words in ((tmp_path, "is a folder"), (tmp_path / "gone.png", "no such file")):
        with pytest.raises(ReadError, match=words):
            read_frame(path)


def test_one_bad_reader_does_not_leak_its_error(tmp_path, monkeypatch):
    item = Input(picture(tmp_path / "a.png"), "a.png", "picture", (tmp_path / "a.png",))

    def broken(*_):
        raise KeyError("two\nlines")

    monkeypatch.setattr(readers.picture, "read", broken)
    with pytest.raises(ReadError, match=r"^a\.png is damaged .*KeyError") as caught:
        list(read_frames(item))
    assert "\n" not in str(caught.value) and isinstance(caught.value.__cause__, KeyError)


def test_memory_does_not_grow_with_the_number_of_folders(tmp_path):
    """Inputs stream: a tree twenty times as large needs little more than the numbers of its files."""
    for i in range(40):
        (tmp_path / f"{i:03d}").mkdir()
        for j in range(25):
            (tmp_path / f"{i:03d}/{'x' * 60}{j:03d}.png").touch()
    # In a process of its own: threads that other tests leave behind allocate too.
    code = """
import sys, tracemalloc
from brightspot.readers import find_inputs
assert sum(1 for _ in find_inputs(sys.argv[1] + "/000")) == 25  # imports what it needs
tracemalloc.start()
print(sum(1 for _ in find_inputs(sys.argv[1])), tracemalloc.get_traced_memory()[1])
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    count, peak = map(int, done.stdout.split())
    assert count == 1000
    assert peak < 400_000


@pytest.mark.skipif(not (SHARED / "real").exists(), reason="real data not at hand")
def test_real_folder():
    items = list(find_inputs(SHARED / "real"))
    assert [i.name for i in items if i.problem] == [
        f"labels/{name}"
        for name in (
            "FC21A0004515_11226150724F1F.IMG.lbl",
            "FC21A0038582_15170161546F6F_pds3.lbl",
            "FC21A0038582_15170161546F6G_isis3.lbl",
            "FC21B0003112_11205060002F1C.TRIMMED.LBL",
        )
    ]
    assert len(items) == 46 and sum(i.reader == "picture" for i in items) == 36
    assert len({i.name for i in items}) == len(items)


def test_read_frames_told_a_path_says_what_it_takes():
    with pytest.raises(UsageError, match=r"takes one Input of find_inputs, not 'image\.png'"):
        list(read_frames("image.png"))


def test_a_pattern_that_matches_nothing_beside_others_is_named(tmp_path):
    image = picture(tmp_path / "a.png")
    typo, glob = str(tmp_path / "typo[1].png"), str(tmp_path / "*.nomatch")
    assert problems(image, typo, glob) == dict.fromkeys((typo, glob), "matches no image; check the pattern")
    assert problems(image, str(tmp_path / "*.png")) == {}
    assert list(find_inputs([typo])) == []


def test_a_label_cut_off_before_its_image_is_named(tmp_path):
    whole = "PDS_VERSION_ID = PDS3\r\nOBJECT = TABLE\r\nEND_OBJECT = TABLE\r\nEND\r\n"
    (tmp_path / "other.lbl").write_text(whole)
    (tmp_path / "cut.lbl").write_text(whole[:40])
    assert problems(str(tmp_path)) == {"cut.lbl": "is cut off inside its label; fetch it again"}


def test_a_folder_without_images_beside_others_is_named(tmp_path):
    image, empty, within = picture(tmp_path / "a" / "a.png"), tmp_path / "empty", tmp_path / "a"
    empty.mkdir()
    assert problems(image, str(empty)) == {str(empty): "holds no image; check the path"}
    assert problems(image, str(within)) == {}
    assert list(find_inputs([str(empty)])) == []


def test_a_pattern_in_a_folder_that_cannot_be_searched_has_one_line(tmp_path, monkeypatch):
    image = picture(tmp_path / "a.png")
    locked = tmp_path / "locked"
    locked.mkdir()
    listing = inputs._listing

    def refuse(folder):
        if folder == locked:
            raise PermissionError(13, "Permission denied")
        return listing(folder)

    monkeypatch.setattr(inputs, "_listing", refuse)
    (problem,) = problems(image, str(locked / "*.png")).values()
    assert problem.startswith("cannot be searched (Permission denied)")
