from __future__ import annotations

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.low_level import Type

from users.passwords import Argon2Passwords

PASSWORD = "a stony path uphill"


@pytest.fixture(scope="module")
def passwords():
    return Argon2Passwords()


def test_a_stored_hash_is_argon2id_with_owasps_parameters(passwords):
    parameters = extract_parameters(passwords.hash(PASSWORD))

    assert parameters.type is Type.ID
    assert parameters.memory_cost == 19 * 1024
    assert parameters.time_cost == 2
    assert parameters.parallelism == 1
    assert parameters.salt_len == 16
    assert parameters.hash_len == 32


def test_only_the_password_itself_matches(passwords):
    stored = passwords.hash(PASSWORD)

    assert passwords.matches(stored, PASSWORD)
    assert not passwords.matches(stored, PASSWORD + " ")
    assert not passwords.matches(stored, PASSWORD.upper())


def test_the_end_of_a_very_long_password_counts(passwords):
    stored = passwords.hash("a" * 1023 + "b")

    assert not passwords.matches(stored, "a" * 1023 + "c")


def test_one_password_hashed_twice_looks_different(passwords):
    assert passwords.hash(PASSWORD) != passwords.hash(PASSWORD)


def test_a_hash_of_other_parameters_still_matches_and_is_outdated(passwords):
    older = PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1).hash(PASSWORD)

    assert passwords.matches(older, PASSWORD)
    assert passwords.is_outdated(older)
    assert not passwords.is_outdated(passwords.hash(PASSWORD))


def test_the_decoy_costs_as_much_as_a_real_hash_and_matches_nothing(passwords):
    assert extract_parameters(passwords.decoy) == extract_parameters(passwords.hash(PASSWORD))
    assert not passwords.matches(passwords.decoy, PASSWORD)
    assert not passwords.matches(passwords.decoy, "")
