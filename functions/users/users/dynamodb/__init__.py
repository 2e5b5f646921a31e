"""
The `users` table.

    pk               sk               item          attributes
    USER#<user id>   ACCOUNT          account       user_id, email, name, password_hash, role,
                                                    registered_at, version, email_verified_at,
                                                    generation
    EMAIL#<address>  CLAIM            e-mail claim  user_id
    USER#<user id>   SESSION#<id>     session       user_id, session_id, digest, version,
                                                    expires_at (seconds since 1970), generation,
                                                    answered_at, sealed_successor
    USER#<user id>   ADDRESSES        address book  addresses: [address_id, address, version],
                                                    default_id, version
    USER#<user id>   LETTER#<id>      letter        see `letters`
    USER#<user id>   OUTBOX#<id>      event         see tradepost.platform.outbox
    ERASURE#<user>   ERASURE          erasure       see tradepost.platform.erasures
    API_KEYS         API_KEY#<id>     API key       see `api_keys`
    API_KEYS         COUNT            count         keys (how many are not revoked)
    LIMIT#<...>      LIMIT            count         see tradepost.platform.limiter

    index     keys            serves
    outbox    outbox, occurred_at   the relay's sweep
    due       due_for, due_at       the sweep of erasures

DynamoDB cannot make an attribute unique, a key it can: the claim is what makes an address one
account's. Both are written in one transaction. Everything of a person but the claim lies in one
partition, where it can be exported and erased.

Items are written whole. So a write that the SDK repeats, because the answer to the first was
lost, finds exactly its own item in the way, and counts as done.
"""

from users.dynamodb.accounts import DynamoDBAccounts, DynamoDBSessions
from users.dynamodb.address_books import DynamoDBAddressBooks
from users.dynamodb.api_keys import DynamoDBAPIKeys
from users.dynamodb.letters import DynamoDBLetters

__all__ = [
    "DynamoDBAPIKeys",
    "DynamoDBAccounts",
    "DynamoDBAddressBooks",
    "DynamoDBLetters",
    "DynamoDBSessions",
]
