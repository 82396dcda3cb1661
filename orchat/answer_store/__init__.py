"""The store of answers: what a request was answered and billed, in one SQLite file, so that nothing is paid twice."""

from orchat.answer_store.request_key import RequestKeys
from orchat.answer_store.sqlite_store import SqliteAnswerStore, StoreEntry
from orchat.answer_store.stored_answer import AnswerStore, MakeAnswer, StoredAnswer, StoredJob

__all__ = ["AnswerStore", "MakeAnswer", "RequestKeys", "SqliteAnswerStore", "StoreEntry", "StoredAnswer", "StoredJob"]
