"""Files from the network, each downloaded once and checked before it is used."""

import hashlib
import os
import time
import urllib.error
import urllib.request
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from http.client import HTTPException
from pathlib import Path

from tqdm import tqdm

CHUNK = 1 << 16


class DownloadError(OSError):
    """No mirror gave the file; the message names each one and why it failed."""


class _MirrorError(Exception):
    """Why one mirror did not give the file."""


def fetch(
    name: str,
    mirrors: Sequence[str],
    destination: str | os.PathLike,
    checksum: str,
    timeout: float = 30.0,
    time_limit: float = 600.0,
) -> Path:
    """A file with a known checksum, downloaded unless it is there already.

    What comes is written to a temporary file beside the destination and put in its place only
    when it is whole, so a broken download is never taken for the file.

    Args:
        name: the file's name at the mirrors.
        mirrors: addresses of folders, tried in turn until one gives the file.
        destination: the path of the file. A file that is there with another checksum is
            downloaded again, with a warning; it stays until its replacement is whole.
        checksum: SHA-256 of the file, in hexadecimal digits.
        timeout: seconds to wait for any one answer of a mirror.
        time_limit: seconds that a mirror may take for the whole file.

    Returns:
        pathlib.Path: ``destination``.

    Raises:
        DownloadError: no mirror gave the file.
        TypeError: ``mirrors`` is one address instead of a sequence of them.
        ValueError: there are no mirrors, or a time is not positive.
        OSError: the file cannot be written.

    >>> fetch("a.txt", ["https://example.org/data/"], "a.txt", "9f86d0...")  # doctest: +SKIP
    PosixPath('a.txt')
    """
    fetch_checked(name, mirrors, destination, has_checksum(checksum), timeout, time_limit)
    return Path(destination)


def fetch_checked(
    name: str,
    mirrors: Sequence[str],
    destination: str | os.PathLike,
    check: Callable[[Path], str | None],
    timeout: float = 30.0,
    time_limit: float = 600.0,
) -> None:
    """What ``fetch`` does, for a file that is known by something else than its own checksum.

    Args:
        check: of the path of a file, what is wrong with it: an object for "it has", as
            ``"SHA-256 12..., expected 34..."``; ``None`` for the right file.
    """
    if isinstance(mirrors, str):
        raise TypeError(f"fetch: mirrors is the string {mirrors!r}, expected a sequence of them")
    if not mirrors:
        raise ValueError("fetch: mirrors is empty, expected at least one address")
    for argument, seconds in (("timeout", timeout), ("time_limit", time_limit)):
        if not seconds > 0:
            raise ValueError(
                f"fetch: {argument} is {seconds}, expected a positive number of seconds"
            )

    destination = Path(destination)
    if destination.exists():
        wrong = check(destination)
        if wrong is None:
            return
        warnings.warn(
            f"fetch: {destination} has {wrong}; "
            "it is damaged or another file, and is downloaded again",
            stacklevel=3,
        )
    destination.parent.mkdir(parents=True, exist_ok=True)
    failures = []
    for mirror in mirrors:
        url = mirror.rstrip("/") + "/" + name
        try:
            _download(url, destination, check, timeout, time_limit)
            return
        except _MirrorError as error:
            failures.append(f"{url}: {error}")
    raise DownloadError(f"fetch: no mirror gave {name}: " + "; ".join(failures))


def has_checksum(expected: str) -> Callable[[Path], str | None]:
    """A check, for ``fetch_checked``, that a file has a SHA-256, in hexadecimal digits."""

    def check(path):
        digest = hashlib.sha256()
        with open(path, "rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
        found = digest.hexdigest()
        return None if found == expected else f"SHA-256 {found}, expected {expected}"

    return check


def kept_files(
    function: str,
    folder: Path,
    checks: dict[str, Callable[[Path], str | None]],
    mirrors: Sequence[str],
    download: bool,
    timeout: float,
) -> None:
    """See to it that a folder of the cache holds the files of a data set, whole.

    Args:
        function: who asks, for messages.
        checks: for the name of each file, what is wrong with a file (see ``fetch_checked``).

    Raises:
        FileNotFoundError: a file is missing or damaged, and ``download`` is false.
        DownloadError: no mirror gave a file.
    """
    if download:
        for name, check in checks.items():
            fetch_checked(name, mirrors, folder / name, check, timeout)
        return
    wrong = []
    for name, check in checks.items():
        path = folder / name
        if not path.is_file():
            wrong.append(f"{name} is missing")
        elif (problem := check(path)) is not None:
            wrong.append(f"{name} has {problem}")
    if wrong:
        raise FileNotFoundError(
            f"{function}: the cache {folder} does not hold the data ({'; '.join(wrong)}); "
            f"expected {', '.join(checks)}, or download=True"
        )


def cache_folder(cache: str | os.PathLike | None) -> Path:
    """Where downloads are kept: as given, or as the environment says, or in the user's cache."""
    if cache is None:
        cache = os.environ.get("DYNET_DATA")
    if not cache:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "dynet")
    return Path(cache).expanduser()


def _download(url, destination, check, timeout, time_limit):
    # A name that no other process or thread has, so that two downloads of one file do not mix.
    temporary = destination.with_name(f"{destination.name}.{uuid.uuid4().hex}.part")
    try:
        with (
            open(temporary, "xb") as file,
            closing(_chunks(url, destination.name, timeout, time_limit)) as chunks,
        ):
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            wrong = check(temporary)
            if wrong is not None:
                raise _MirrorError(f"gave a file with {wrong}")
            os.fsync(file.fileno())
        os.replace(temporary, destination)
    finally:
        temporary.unlink(missing_ok=True)


def _chunks(url, label, timeout, time_limit) -> Iterator[bytes]:
    """The body at an address, in pieces, with a progress bar.

    A generator, so that only the network's errors are taken for the mirror's: what goes wrong
    where the pieces are used is not caught here.
    """
    end = time.monotonic() + time_limit
    try:
        with urllib.request.urlopen(url, timeout=timeout) as response:
            # None where the server does not say, or the scheme has no such thing.
            total = getattr(response, "length", None)
            received = 0
            with tqdm(total=total, desc=label, unit="B", unit_scale=True) as bar:
                # The connection may stay open after the body: only the count tells its end.
                while total is None or received < total:
                    if time.monotonic() > end:
                        raise _MirrorError(
                            f"took longer than {time_limit:g} seconds ({received} bytes came)"
                        )
                    # read1 returns what one receive brought. read would wait for the full
                    # size, and a server that drips could hold it far beyond the limit.
                    chunk = response.read1(CHUNK if total is None else min(CHUNK, total - received))
                    if not chunk:
                        break
                    received += len(chunk)
                    bar.update(len(chunk))
                    yield chunk
            if total is not None and received < total:
                raise _MirrorError(f"broke off after {received} of {total} bytes")
    except urllib.error.HTTPError as error:
        # The error is also the open response.
        error.close()
        raise _MirrorError(f"answered HTTP {error.code} ({error.reason})") from error
    except TimeoutError as error:
        raise _MirrorError(f"sent nothing for {timeout:g} seconds") from error
    except urllib.error.URLError as error:
        raise _MirrorError(f"cannot be reached ({error.reason})") from error
    except (OSError, HTTPException, ValueError) as error:
        # ValueError is urlopen's for an address that it cannot read.
        raise _MirrorError(f"failed with {type(error).__name__} ({error})") from error
