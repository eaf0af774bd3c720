from chatnest.app.tables import table


def lines(*arguments: object, **options: object) -> list[str]:
    return list(table(*arguments, **options))  # type: ignore[arg-type]  # as each test says


def test_texts_begin_on_the_left_and_numbers_end_on_the_right() -> None:
    rows = [("ann", 7, "0.10"), ("everybody", 1_234_567, "-")]
    assert lines(("who", "tokens", "usd"), rows, texts=1) == [
        "who           tokens   usd",
        "---------  ---------  ----",
        "ann                7  0.10",
        "everybody  1,234,567     -",
    ]


def test_a_total_is_set_apart() -> None:
    assert lines(("who", "n"), [("ann", 1), ("bob", 2), ("total", 3)], texts=1, has_total=True) == [
        "who    n",
        "-----  -",
        "ann    1",
        "bob    2",
        "-----  -",
        "total  3",
    ]


def test_no_rows_are_a_heading() -> None:
    assert lines(("who", "n"), [], texts=1) == ["who  n"]


def test_a_name_can_neither_break_its_line_nor_move_the_cursor() -> None:
    assert lines(("who",), [("a\x1b[2J\nb\u202ec é",)], texts=1)[-1] == "a�[2J�b�c é"
