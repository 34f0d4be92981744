"""Numbers of scripts: taken as the plain ones that they mean, or refused in words."""

from __future__ import annotations

from collections import namedtuple
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from napari_samri.errors import InputError
from napari_samri.geometry.numbers import flag, number, row, table, whole

pd = pytest.importorskip("pandas")

NAMES = ("x", "y")
BOX = ("x0", "y0", "x1", "y1")


@pytest.mark.parametrize(
    "value",
    [3, np.int64(3), np.uint8(3), np.array(3), 3.0, np.float32(3), pd.Series([3]).iloc[0]],
)
def test_whole_numbers(value: object) -> None:
    found = whole(value, "the slice")
    assert found == 3
    assert type(found) is int


@pytest.mark.parametrize(
    "value",
    ["3", 3.5, np.nan, np.inf, True, np.True_, None, pd.NA, 3j, [3], np.array([3]), b"3"],
)
def test_what_is_no_whole_number(value: object) -> None:
    with pytest.raises(InputError, match=r"the slice is .*; expected a whole number"):
        whole(value, "the slice")


@pytest.mark.parametrize(
    "value",
    [2.5, np.float16(2.5), np.float64(2.5), np.array(2.5), Decimal("2.5"), Fraction(5, 2)],
)
def test_numbers(value: object) -> None:
    found = number(value, "x")
    assert found == 2.5
    assert type(found) is float


@pytest.mark.parametrize(
    "value", ["2", np.nan, -np.inf, True, None, pd.NA, 2j, [2.0], Decimal("sNaN"), 10**400]
)
def test_what_is_no_number(value: object) -> None:
    with pytest.raises(InputError, match=r"x is .*; expected a finite number"):
        number(value, "x")


def test_flags() -> None:
    assert [flag(value, "positive") for value in (True, np.True_, 1, 1.0, np.int8(1))] == [True] * 5
    assert [flag(value, "positive") for value in (False, np.False_, 0)] == [False] * 3
    for value in ("True", "", 2, None, [True], np.nan):
        with pytest.raises(InputError, match="expected True or False"):
            flag(value, "positive")


Pair = namedtuple("Pair", "x y")


@pytest.mark.parametrize(
    "values",
    [
        [[10, 9], [11, 10.5]],
        [(10, 9), (11, 10.5)],
        (pair for pair in [(10, 9), (11, 10.5)]),
        zip([10, 11], [9, 10.5], strict=True),
        np.array([[10, 9], [11, 10.5]], np.float32),
        pd.DataFrame({"x": [10, 11], "y": [9, 10.5]}),
        pd.DataFrame({"y": [9, 10.5], "x": [10, 11]}),
        pd.DataFrame({"y": [9, 10.5], "name": ["a", "b"], "x": [10, 11]}),
        pd.DataFrame({"x": [10, 11], "y": [9, 10.5]}, index=[7, 3]),
        pd.DataFrame([[10, 9], [11, 10.5]]),
        pd.DataFrame({"x": pd.array([10, 11], "Int64"), "y": pd.array([9, 10.5], "Float64")}),
        np.array([(9, 10), (10.5, 11)], [("y", float), ("x", float)]),
        [Pair(10, 9), Pair(11, 10.5)],
        {"x": [10, 11], "y": [9, 10.5]},
        [np.array([10, 9]), np.array([11, 10.5])],
        np.ma.array([[10, 9], [11, 10.5]]),
        np.array([[10, 9], [11, 10.5]], object),
    ],
)
def test_tables(values: object) -> None:
    found = table(values, NAMES, "the points")
    np.testing.assert_array_equal(found, [[10, 9], [11, 10.5]])
    assert found.dtype == np.float64


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([10.0, 9, 12, 11]), r"shape \(4,\); expected \(N, 2\): rows of x, y"),
        (np.zeros((2, 3)), r"shape \(2, 3\)"),
        ([(1, 2), (3,)], "rows of one length"),
        (["ab", "cd"], "expected numbers"),
        ([("1", "2")], "expected numbers"),
        ([(True, False)], "are bool"),
        ([(1, np.nan)], "not finite"),
        ([(1, None)], "is None"),
        ([(1j, 2)], "complex"),
        (pd.DataFrame({"row": [1], "col": [2]}), "columns row, col; expected x, y"),
        (pd.DataFrame({"x": [1]}), r"\(y not found\)"),
        (pd.DataFrame({"x": [1, None], "y": [1, 2]}), "not finite"),
        (pd.DataFrame({"x": ["1"], "y": ["2"]}), "expected a finite number"),
        (np.ma.array([[1, 2]], mask=[[True, False]]), "masked"),
        ([[pd.Timestamp(0), pd.Timestamp(0)]], "expected a finite number"),
        ("points", "expected numbers"),
    ],
)
def test_what_is_no_table(values: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        table(values, NAMES, "the points")


@pytest.mark.parametrize(
    "values",
    [
        [1, 2, 3, 4],
        (np.int64(1), 2.0, 3, 4),
        np.array([[1, 2], [3, 4]]),
        pd.Series([3, 1, 4, 2], index=["x1", "x0", "y1", "y0"]),
        pd.DataFrame({"x1": [3], "x0": [1], "y0": [2], "y1": [4]}),
        pd.DataFrame([[1, 2, 3, 4]]),
        {"y0": 2, "x0": 1, "y1": 4, "x1": 3},
    ],
)
def test_rows(values: object) -> None:
    np.testing.assert_array_equal(row(values, BOX, "the box"), [1, 2, 3, 4])


@pytest.mark.parametrize(
    "values", [[1, 2, 3], "abcd", [1, 2, 3, np.nan], None, 5, [[1, 2, 3, 4]] * 2]
)
def test_what_is_no_row(values: object) -> None:
    with pytest.raises(InputError):
        row(values, BOX, "the box")
