"""Progress: a bar over the batches of a loop, with running means; and the table of a log."""

import io

import numpy as np
import pytest

import dynet
from dynet.iterators import SerialIterator
from dynet.reporter import DictSummary
from dynet.serializers import load_npz, save_npz
from dynet.training import Table, progress


def screen(text):
    """What a terminal shows after a text with carriage returns and cursor movements up."""
    lines, row = [""], 0
    for part in text.replace("\x1b[A", "\0A\0").replace("\n", "\0N\0").split("\0"):
        if part == "A":
            row -= 1
        elif part == "N":
            row += 1
            if row == len(lines):
                lines.append("")
        else:
            for piece in part.split("\r"):
                lines[row] = piece + lines[row][len(piece) :]
    return [line.rstrip() for line in lines]


@pytest.fixture
def out():
    return io.StringIO()


def test_it_gives_what_it_is_given(out):
    assert list(progress(range(5), file=out)) == [0, 1, 2, 3, 4]
    assert list(progress((i for i in range(3)), file=out)) == [0, 1, 2]


def test_the_means_are_of_all_that_was_added(out):
    for i in (bar := progress(range(4), file=out)):
        bar.add(loss=dynet.Variable(np.array(i, np.float32)), right=np.array([i % 2]))
    assert bar.means == {"loss": 1.5, "right": 0.5}


def test_values_count_by_their_weight(out):
    bar = progress([], file=out)
    bar.add(3, loss=1.0)
    bar.add(1, loss=5.0)
    assert bar.means == {"loss": 2.0}


@pytest.mark.parametrize("value", [np.zeros(3), "text", None, 1j])
def test_a_value_that_has_no_mean_is_refused_by_name(value, out):
    bar = progress([], file=out)
    with pytest.raises(TypeError, match=r"progress\.add: loss is .*, expected a number"):
        bar.add(other=1.0, loss=value)
    assert bar.means == {}


def test_the_bar_shows_the_means_at_the_end(out):
    for i in (bar := progress(range(3), desc="epoch 1", file=out)):
        bar.add(loss=i, accuracy=0.25)
    shown = screen(out.getvalue())
    assert shown[0].startswith("epoch 1: 100%|")
    assert shown[0].endswith("loss 1, accuracy 0.25]")
    assert shown[1:] == [""]


def test_of_an_iterator_it_goes_through_one_epoch_and_counts_examples(out):
    iterator = SerialIterator(range(10), 4, rng=0)
    sizes = [[len(batch) for batch in progress(iterator, file=out)] for _ in range(2)]
    assert sizes == [[4, 4, 4], [4, 4]]
    assert iterator.epoch == 2
    first, second, _ = screen(out.getvalue())
    assert "| 10/10 [" in first
    assert "| 10/10 [" in second


def test_in_the_middle_of_an_epoch_it_goes_through_the_rest(out):
    iterator = SerialIterator(range(10), 2, rng=0)
    for i, _ in enumerate(progress(iterator, file=out)):
        if i == 2:
            break
    assert iterator.epoch_detail == 0.6
    assert len(list(progress(iterator, file=out))) == 2
    assert "| 6/10 [" in screen(out.getvalue())[0]
    assert "| 10/10 [" in screen(out.getvalue())[1]


def test_an_iterator_without_repeat_ends_where_its_pass_ends(out):
    iterator = SerialIterator(range(5), 2, repeat=False, shuffle=False)
    assert list(progress(iterator, file=out)) == [[0, 1], [2, 3], [4]]
    assert list(progress(iterator, file=out)) == []


@pytest.mark.parametrize("batches", [range(9), SerialIterator(range(9), 1)])
def test_an_error_in_the_loop_leaves_the_terminal_in_order(batches, out):
    with pytest.raises(KeyboardInterrupt):
        for i, _ in enumerate(progress(batches, file=out)):
            if i == 4:
                raise KeyboardInterrupt
    assert out.getvalue().endswith("\n")
    assert len(screen(out.getvalue())) == 2


def test_what_is_no_iterable_is_an_error_at_once():
    with pytest.raises(TypeError, match="not iterable"):
        progress(3)


def test_a_summary_of_ones_own_carries_the_means_through_a_snapshot(tmp_path, out):
    whole, half = DictSummary(), DictSummary()
    for x in (bar := progress([0.1, 0.2, 0.4], summary=whole, file=out)):
        bar.add(loss=x)
        if x == 0.2:
            save_npz(tmp_path / "f", whole)
    load_npz(tmp_path / "f", half)
    for x in (bar := progress([0.4], summary=half, file=out)):
        bar.add(loss=x)
    assert bar.means == whole.compute_mean()


# -- table ----------------------------------------------------------------------------------------


def test_a_table_has_one_header_and_aligned_columns(out):
    table = Table(["epoch", "validation/loss", "accuracy"], out)
    table.print_row({"epoch": 1, "validation/loss": 0.5, "accuracy": np.float32(0.25)})
    table.print_row({"epoch": np.int64(10), "validation/loss": 123.456789, "unseen": 3})
    table.print_row({"validation/loss": 1.5e-9, "accuracy": None})
    assert out.getvalue().splitlines() == [
        "     epoch  validation/loss    accuracy",
        "         1         0.500000    0.250000",
        "        10          123.457",
        "                1.50000e-09         nan",
    ]


@pytest.mark.parametrize("value", [1.23456789e-4, -1.23456789e-4, 1.5e-9, -1.5e-9, 1e100, -1e9])
def test_a_number_loses_digits_before_a_column_loses_its_place(value, out):
    Table(["loss"], out).print_row({"loss": value})
    cell = out.getvalue().splitlines()[1]
    assert len(cell) == 10
    assert float(cell) == pytest.approx(value, rel=1e-3)


def test_the_table_goes_to_what_standard_output_is_at_the_time(capsys):
    Table(["a"]).print_row({"a": 1})
    assert capsys.readouterr().out.split() == ["a", "1"]


def test_rows_are_printed_above_an_open_bar(out):
    table = Table(["i"], out)
    for i in progress(range(3), file=out, mininterval=0):
        table.print_row({"i": i})
    shown = screen(out.getvalue())
    assert [line.strip() for line in shown[:4]] == ["i", "0", "1", "2"]
    assert shown[4].startswith("100%|")


def test_a_table_of_a_string_is_refused():
    with pytest.raises(TypeError, match="expected a list of names"):
        Table("epoch")
