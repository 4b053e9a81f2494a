"""Files that are there whole or not at all, whatever happens while they are written."""

import errno
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


@contextmanager
def write_atomically(file: "str | os.PathLike", by: str) -> Iterator[BinaryIO]:
    """Write a file: when the block ends without an error, it is in place and on the disk.

    It is written beside under another name, flushed to the disk, and renamed. Until then, and
    after an error or a power cut, the file of that name is the old one. What a killed process
    left behind, the next save of the same file removes.

    Args:
        file: its path; of a symbolic link, what it leads to is replaced.
        by: the function that writes, for messages.

    Yields:
        The file to write to; it can be read and moved about in, too.

    Raises:
        OSError: the file cannot be written; the old one, if there was one, is untouched.

    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "hello.txt")
    >>> with write_atomically(path, "hello") as f:
    ...     n = f.write(b"hello")
    ...     os.path.exists(path)
    False
    >>> os.path.getsize(path)
    5
    """
    path = os.path.realpath(os.fsdecode(file))
    if os.path.exists(path) and not os.path.isfile(path):
        raise OSError(f"{by}: {path} is no regular file")
    if os.path.exists(path) and not os.access(path, os.W_OK):
        raise PermissionError(f"{by}: {path} is write-protected")
    _remove_leftovers(path)
    temporary = f"{path}.{uuid.uuid4().hex}.part"
    try:
        with _create_locked(temporary) as f:
            yield f
            f.flush()
            os.fsync(f.fileno())
            if os.path.exists(path):
                shutil.copymode(path, temporary)
            if fcntl is None:
                f.close()  # Windows renames no open file; elsewhere to close it is to unlock it
            os.replace(temporary, path)
        _sync_folder(os.path.dirname(path))
    except OSError as error:
        raise OSError(
            error.errno, f"{by}: cannot write {path}: {error.strerror or error}"
        ) from error
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


# A file that is being written is locked, and the system unlocks it when the process ends, however
# it ends: an unlocked one is nobody's. Two saves of one file at once do not disturb each other,
# since each has a name of its own, and in the same folder, so that the rename stays within one
# file system.


def _create_locked(temporary):
    while True:
        f = open(temporary, "x+b")  # noqa: SIM115, the caller closes it
        if fcntl:
            with suppress(OSError):  # a file system without locks; then nothing is removed either
                fcntl.flock(f, fcntl.LOCK_EX)
        if os.path.exists(temporary):
            return f
        f.close()  # another save took it for a leftover, just before it was locked


def _remove_leftovers(path):
    """Remove what killed processes left of earlier saves of a file."""
    if fcntl is None:
        return
    folder, name = os.path.split(path)
    leftover = re.compile(re.escape(name) + r"\.[0-9a-f]{32}\.part")
    with suppress(OSError), os.scandir(folder) as entries:  # what cannot be seen can stay
        for entry in entries:
            if leftover.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                with suppress(OSError), open(entry.path, "r+b") as f:  # it is locked, or not ours
                    fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    os.unlink(entry.path)


def _sync_folder(folder):
    # Without this a power cut may still undo the rename. Windows cannot open folders; elsewhere the
    # user may not read this one, or its file system cannot sync any.
    if os.name == "posix":
        try:
            handle = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EBADF, errno.EINVAL):
                raise
