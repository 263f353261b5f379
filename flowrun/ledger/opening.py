"""Making and opening a ledger's file, and telling a ledger from anything else before a byte is written.

Owns the file: its creation (whole or not at all), its mode, its checks, and which SQLite error means what. What is done
with the connection is `sqlite`'s.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import tempfile
from contextlib import closing, suppress
from pathlib import Path

from flowrun.files import sync_directory
from flowrun.ledger.protocol import LedgerDamagedError, LedgerFormatError
from flowrun.ledger.schema import APPLICATION_ID, MIGRATIONS, SHAPES, STATEMENTS, VERSION

BUSY_SECONDS = 30.0  # how long a writer waits for its turn; a turn takes milliseconds
QUICK_CHECK_BYTES = 1 << 20  # up to here all pages are looked at on opening (some 5 ms); beyond, when they are used
_MAGIC = b"SQLite format 3\0"  # the file format's first 16 bytes; the application's id stands at 68 to 72
_HEADER = 100
_OWN = " Nothing was written."


def opened(path: Path, *, reading: bool = False) -> sqlite3.Connection:
    """A connection to the ledger at `path`, which is made where there is none. `reading`: for who changes nothing: it makes no
    file, and whatever is tried to be written is refused.

    Raises LedgerDamagedError for a file that is no ledger, OSError where the file system refuses (FileNotFoundError for who
    only reads).
    """
    if not reading and not path.exists():
        _create(path)
    _refuse_foreign(path)
    try:
        connection = _connect(path)
        try:
            _set_up(connection)
            if reading and _version(connection) in MIGRATIONS:
                connection = _apart(connection)
            _upgrade(connection)
            if reading:
                connection.execute("PRAGMA query_only=ON")
            _check(connection, path)
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise translated(error, path) from error
    return connection


def translated(error: sqlite3.Error, path: Path) -> Exception:
    """LedgerDamagedError or the OSError that `error` stands for; itself where it is our own mistake."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the lower byte is the primary result code
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or "no such" in str(error):
        return LedgerDamagedError(f"the ledger {path} is damaged: {error}.{_OWN}")
    number = {
        sqlite3.SQLITE_BUSY: errno.ETIMEDOUT,
        sqlite3.SQLITE_FULL: errno.ENOSPC,
        sqlite3.SQLITE_READONLY: errno.EACCES,
        sqlite3.SQLITE_PERM: errno.EACCES,
        sqlite3.SQLITE_CANTOPEN: errno.EACCES,
        sqlite3.SQLITE_IOERR: errno.EIO,
    }.get(code)
    return error if number is None else OSError(number, f"the ledger cannot be used: {error}", str(path))


def _create(path: Path) -> None:
    """Made aside and linked into place, so that nobody sees half a ledger, and of two that make it at once one wins."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".tmp-") as folder:
        fresh = Path(folder, "ledger")
        handle = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        try:
            _fill(fresh)
            os.fsync(handle)
        finally:
            os.close(handle)
        with suppress(FileExistsError):
            os.link(fresh, path)
    sync_directory(path.parent)


def _fill(path: Path) -> None:
    """To the file itself, which only then gets a WAL: what stands in a WAL is copied when it is closed, and a full disk would
    leave half of it there without a word."""
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            for statement in ("BEGIN", *STATEMENTS):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={VERSION}")
            connection.execute("COMMIT")
            connection.execute("PRAGMA journal_mode=WAL")
    except sqlite3.Error as error:
        raise translated(error, path) from error


def _refuse_foreign(path: Path) -> None:
    """By the header alone: SQLite itself would tidy up after a stranger's crash."""
    with path.open("rb") as stream:
        header = stream.read(_HEADER)
    if len(header) < _HEADER or not header.startswith(_MAGIC):
        raise LedgerDamagedError(f"the file {path} is no ledger.{_OWN}")
    if int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        raise LedgerDamagedError(f"the file {path} is a database of another program.{_OWN}")


def _connect(path: Path) -> sqlite3.Connection:
    """Never creates. Transactions are begun and ended by hand."""
    uri = f"{path.absolute().as_uri()}?mode=rw"
    return sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)


def _set_up(connection: sqlite3.Connection) -> None:
    """Each commit is on the disk when it returns, on macOS too."""
    for setting in ("synchronous=FULL", "fullfsync=ON", "checkpoint_fullfsync=ON", "trusted_schema=OFF"):
        connection.execute(f"PRAGMA {setting}")


def _apart(connection: sqlite3.Connection) -> sqlite3.Connection:
    """A copy in memory: for who only reads an earlier format, and leaves upgrading the file to who writes."""
    with closing(connection):
        copy = sqlite3.connect(":memory:", isolation_level=None)
        connection.backup(copy)
    return copy


def _upgrade(connection: sqlite3.Connection) -> None:
    """From the format of an earlier flowrun to this one's, whole or not at all; of two that do it at once one finds it done."""
    if _version(connection) not in MIGRATIONS:
        return
    connection.execute("BEGIN IMMEDIATE")
    while (version := _version(connection)) in MIGRATIONS:
        for statement in MIGRATIONS[version]:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version={version + 1}")
    connection.execute("COMMIT")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _check(connection: sqlite3.Connection, path: Path) -> None:
    if (version := _version(connection)) != VERSION:
        raise LedgerFormatError(
            f"the ledger {path} has format {version}, this flowrun reads {VERSION}. Nothing was written."
            " Use the version of flowrun that wrote it, or a newer one."
        )
    for shape in SHAPES:
        found = {row[1] for row in connection.execute(f"PRAGMA table_info({shape.table})")}
        if missing := set(shape.written) - found:
            raise LedgerDamagedError(f"the ledger {path} lacks {', '.join(sorted(missing))} in {shape.table}.{_OWN}")
    if path.stat().st_size <= QUICK_CHECK_BYTES:
        (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if answer != "ok":
            raise LedgerDamagedError(f"the ledger {path} is damaged: {answer}.{_OWN}")
