"""The list is whole: each of the 92 numbers is a case at each of the five doors, or the table says why it is none."""

import pytest

from tests.inputs import files, protocol, table
from tests.inputs.doors import NAMES

MADE = {(case.row.number, case.door) for case in table.CASES}
MADE |= {(file.number, door) for file, door in files.CASES}
MADE |= {(one.number, one.door) for one in protocol.REQUESTS}
MADE |= {(number, "page") for number in table.NAMED}  # as names of presets
MADE |= {(91, door) for door in protocol.WAYS}  # too much has tests of its own
REASONS = {(number, door): why for number, doors in table.ABSENT.items() for door, why in doors.items()}


@pytest.mark.parametrize("number", range(1, 93))
def test_a_number_is_a_case_at_every_door_or_says_why_not(number: int) -> None:
    for door in NAMES:
        assert ((number, door) in MADE) != bool(REASONS.get((number, door))), (number, door)


def test_no_two_cases_have_one_name() -> None:
    ids = [str(case) for case in table.CASES if case.row.value not in (table.LONG,)]
    long = [one for one in ids if ids.count(one) > 1]
    assert {one.partition("-prompt-")[0] for one in long} <= {"no-59", "no-66", "no-47", "no-48"}


def test_what_is_beside_the_list_has_no_number_of_it() -> None:
    assert {number for number, _ in MADE} - {0} == {*range(1, 93)}
