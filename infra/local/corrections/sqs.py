"""Queues that lose nothing under threads and whose cost does not grow with their depth.

moto keeps a queue as one list: receiving, deleting and even sending walk all of it, deleting
rebuilds it without the lock (and so loses what another thread adds), and a function mapped to a
queue is called inside SendMessage. Here a standard queue is a heap ordered by when each message
may next be received. FIFO queues stay moto's, under the same lock.
"""

from __future__ import annotations

import copy
import functools
import heapq
import itertools
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from moto.core.utils import unix_time_millis
from moto.sqs.exceptions import InvalidParameterValue, ReceiptHandleIsInvalid
from moto.sqs.models import Message, Queue, SQSBackend, _filter_message_attributes

from infra.local.clock import in_use

LOCK = threading.RLock()
# SQS: a message may stay in flight for at most 12 hours, be delayed for at most 15 minutes.
IN_FLIGHT_SECONDS_MAX = 43_200
DELAY_SECONDS_MAX = 900
DELETED_HANDLES_KEPT = 10_000

_moto_add = Queue.add_message
_moto_delete = Queue.delete_message
_moto_send = SQSBackend.send_message
_moto_receive = SQSBackend.receive_message
_moto_change = SQSBackend.change_message_visibility
_order = itertools.count()


class Store:
    """The messages of a standard queue."""

    def __init__(self) -> None:
        self.messages: dict[str, Any] = {}
        self.handles: dict[str, Any] = {}
        self.deleted: dict[str, None] = {}
        self.arrived = threading.Condition(LOCK)
        self.listeners: list[Callable[[], None]] = []
        self._heap: list[tuple[float, int, str]] = []

    def add(self, message: Any) -> None:
        self.messages[message.id] = message
        self.schedule(message)

    def schedule(self, message: Any) -> None:
        """Note when `message` may next be received, and tell who waits for it."""
        heapq.heappush(self._heap, (_due(message), next(_order), message.id))
        self.arrived.notify_all()
        for wake in self.listeners:
            wake()

    def next_due(self) -> float | None:
        """Return when the first message may be received, in epoch seconds; None without any."""
        while self._heap:
            due, _, message_id = self._heap[0]
            message = self.messages.get(message_id)
            if message is not None and _due(message) == due:
                return due / 1000
            heapq.heappop(self._heap)
        return None

    def take_due(self, now_ms: float) -> Any:
        """Return the first message due, or None; the caller must `schedule` or `remove` it."""
        due = self.next_due()
        if due is None or due * 1000 > now_ms:
            return None
        return self.messages[heapq.heappop(self._heap)[2]]

    def remove(self, message: Any) -> None:
        self.messages.pop(message.id, None)
        for handle in message.all_receipt_handles:
            if handle is not None and self.handles.pop(handle, None) is not None:
                self.deleted[handle] = None
        while len(self.deleted) > DELETED_HANDLES_KEPT:
            del self.deleted[next(iter(self.deleted))]

    def clear(self) -> None:
        self.messages.clear()
        self.handles.clear()
        self._heap.clear()


def install() -> None:
    """Replace the storage of standard queues and lock every change of a queue."""
    Queue._messages = property(_get_messages, _set_messages)
    Queue.add_message = _add_message
    Queue.delete_message = _delete_message
    SQSBackend.send_message = _send_message
    SQSBackend.receive_message = _receive_message
    SQSBackend.change_message_visibility = _change_visibility
    for name in (
        "change_message_visibility_batch",
        "create_queue",
        "delete_message_batch",
        "delete_queue",
        "get_queue_attributes",
        "purge_queue",
        "send_message_batch",
        "set_queue_attributes",
    ):
        setattr(SQSBackend, name, _locked(getattr(SQSBackend, name)))


def store_of(queue: Any) -> Store:
    """Return the messages of a standard queue."""
    store: Store | None = queue.__dict__.get("_local_store")
    if store is None:
        store = queue.__dict__.setdefault("_local_store", Store())
    return store


def delete(queue: Any, handles: list[str]) -> None:
    """Delete the messages received under `handles`."""
    with LOCK:
        for handle in handles:
            queue.delete_message(handle)


def put_back(queue: Any, handles: list[str], seconds: float) -> None:
    """Let messages that were received come again after so long, as if for the first time."""
    with LOCK:
        store = store_of(queue)
        for handle in handles:
            message = store.handles.get(handle)
            if message is not None:
                message.approximate_receive_count -= 1
                message.visible_at = unix_time_millis() + seconds * 1000
                store.schedule(message)


def _due(message: Any) -> float:
    return max(float(message.visible_at), float(message.delayed_until))


def _locked(method: Any) -> Any:
    @functools.wraps(method)
    def locked(*args: Any, **kwargs: Any) -> Any:
        with LOCK:
            return method(*args, **kwargs)

    return locked


def _get_messages(self: Any) -> list[Any]:
    fifo: list[Any] = self.__dict__.setdefault("_fifo_messages", [])
    return fifo if self.__dict__.get("fifo_queue") else list(store_of(self).messages.values())


def _set_messages(self: Any, messages: list[Any]) -> None:
    self.__dict__["_fifo_messages"] = messages
    store = store_of(self)
    store.clear()
    if not self.__dict__.get("fifo_queue"):
        for message in messages:
            store.add(message)


def _add_message(self: Any, message: Any) -> None:
    with LOCK:
        if not self.fifo_queue:
            store_of(self).add(message)
            return
        # The pump calls the functions, never the sender.
        mapped, self.lambda_event_source_mappings = self.lambda_event_source_mappings, {}
        try:
            _moto_add(self, message)
        finally:
            self.lambda_event_source_mappings = mapped
        for wake in store_of(self).listeners:
            wake()


def _delete_message(self: Any, receipt_handle: str) -> None:
    with LOCK:
        if self.fifo_queue:
            _moto_delete(self, receipt_handle)
            return
        store = store_of(self)
        message = store.handles.get(receipt_handle)
        if message is not None:
            store.remove(message)
        elif receipt_handle not in store.deleted:
            raise ReceiptHandleIsInvalid


def _send_message(
    self: Any,
    queue_name: str,
    message_body: str,
    message_attributes: dict[str, Any] | None = None,
    delay_seconds: int | None = None,
    deduplication_id: str | None = None,
    group_id: str | None = None,
    system_attributes: dict[str, Any] | None = None,
    validate_group_id: bool = True,
) -> Any:
    queue = self.get_queue(queue_name)
    if queue.fifo_queue:
        with LOCK:
            return _moto_send(
                self,
                queue_name,
                message_body,
                message_attributes,
                delay_seconds,
                deduplication_id,
                group_id,
                system_attributes,
                validate_group_id,
            )
    delay = int(delay_seconds) if delay_seconds is not None else queue.delay_seconds
    if not 0 <= delay <= DELAY_SECONDS_MAX:
        raise InvalidParameterValue(
            f"Value {delay} for parameter DelaySeconds is invalid. "
            "Reason: DelaySeconds must be >= 0 and <= 900."
        )
    self._validate_message(queue, message_body=message_body, delay_seconds=delay)
    message = Message(str(uuid.uuid4()), message_body, system_attributes)
    message.group_id = group_id
    message.deduplication_id = deduplication_id
    message.message_attributes = message_attributes or {}
    message.mark_sent(delay_seconds=delay)
    with LOCK:
        store_of(queue).add(message)
    return message


def _receive_message(
    self: Any,
    queue_name: str,
    count: int,
    wait_seconds_timeout: int,
    visibility_timeout: int,
    message_attribute_names: list[str] | None = None,
) -> list[Any]:
    queue = self.get_queue(queue_name)
    deadline = time.monotonic() + (wait_seconds_timeout or 0)
    received: list[Any]
    while True:
        with LOCK:
            if queue.fifo_queue:
                received = _moto_receive(
                    self, queue_name, count, 0, visibility_timeout, message_attribute_names
                )
            else:
                received = _take(
                    queue, count, int(visibility_timeout or 0), message_attribute_names or []
                )
            remaining = deadline - time.monotonic()
            if received or remaining <= 0:
                return received
            due = store_of(queue).next_due()
            until_due = remaining if due is None else max(due - in_use().now(), 0.001)
            store_of(queue).arrived.wait(min(remaining, until_due, 1.0))


def _take(queue: Any, count: int, visibility_seconds: int, attribute_names: list[str]) -> list[Any]:
    store = store_of(queue)
    received: list[Any] = []
    receipt_limit = queue.redrive_policy["maxReceiveCount"] if queue.redrive_policy else None
    now = unix_time_millis()
    again: list[Any] = []
    while len(received) < count and (message := store.take_due(now)) is not None:
        if message.sent_timestamp / 1000 + queue.message_retention_period < now / 1000:
            store.remove(message)
        elif receipt_limit is not None and message.approximate_receive_count >= receipt_limit:
            store.remove(message)
            queue.dead_letter_queue.add_message(message)
        else:
            message.mark_received(visibility_timeout=visibility_seconds)
            store.handles[message.receipt_handle] = message
            again.append(message)
            copied = copy.copy(message)
            _filter_message_attributes(copied, attribute_names)
            received.append(copied)
    for message in again:
        store.schedule(message)
    return received


def _change_visibility(
    self: Any, queue_name: str, receipt_handle: str, visibility_timeout: int
) -> None:
    with LOCK:
        queue = self.get_queue(queue_name)
        if queue.fifo_queue:
            _moto_change(self, queue_name, receipt_handle, visibility_timeout)
            for wake in store_of(queue).listeners:
                wake()
            return
        message = store_of(queue).handles.get(receipt_handle)
        if message is None:
            raise ReceiptHandleIsInvalid
        until = unix_time_millis() + int(visibility_timeout) * 1000
        if until - message.sent_timestamp > IN_FLIGHT_SECONDS_MAX * 1000:
            raise InvalidParameterValue(
                f"Value {visibility_timeout} for parameter VisibilityTimeout is invalid. "
                "Reason: Total VisibilityTimeout for the message is beyond the limit "
                "[43200 seconds]"
            )
        message.change_visibility(visibility_timeout)
        store_of(queue).schedule(message)
