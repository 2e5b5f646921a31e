"""What people do with their accounts. Collaborators, time and ids are arguments."""

from users.use_cases.accounts import Registration, grant_role, register, rename
from users.use_cases.addresses import add_address, change_address, remove_address
from users.use_cases.confirming import (
    ask_for_confirmation,
    change_email,
    confirm_email,
)
from users.use_cases.leaving import Export, erase_account, export_account, sweep_erasures
from users.use_cases.logging_in import LoggedIn, become_guest, log_in, log_out, refresh
from users.use_cases.partners import (
    NewKey,
    admit_partner,
    create_api_key,
    recognise_partner,
    revoke_api_key,
    rotate_api_key,
)
from users.use_cases.passwords import change_password, request_reset, reset_password
from users.use_cases.writing import WrittenLetter, write_letter

__all__ = [
    "Export",
    "LoggedIn",
    "NewKey",
    "Registration",
    "WrittenLetter",
    "add_address",
    "admit_partner",
    "ask_for_confirmation",
    "become_guest",
    "change_address",
    "change_email",
    "change_password",
    "confirm_email",
    "create_api_key",
    "erase_account",
    "export_account",
    "grant_role",
    "log_in",
    "log_out",
    "recognise_partner",
    "refresh",
    "register",
    "remove_address",
    "rename",
    "request_reset",
    "reset_password",
    "revoke_api_key",
    "rotate_api_key",
    "sweep_erasures",
    "write_letter",
]
