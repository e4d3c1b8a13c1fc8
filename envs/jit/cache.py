"""A disk cache of machine code that is never needed and never stale.

numba's own cache fails where no folder can be written to or a file is damaged, and it compares the file of a function
alone with the cached code, although that code contains all functions that it calls. Here the name of a cached file is a
digest of every source that the function can reach, and its content carries a digest. Whatever goes wrong, the function
is compiled.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import pickle
import re
import secrets
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

PACKAGE, ROOT = "goalmaze", Path(__file__).parents[2]
"""The package of all compiled functions, and the folder that holds its rooms, such as `envs`."""

FOLDER_VARIABLE = "NUMBA_CACHE_DIR"
"""The environment variable that names the folder of the cache, as it does for numba."""

DIGEST_BYTES = 32
MAX_FILES = 4096
"""Number of cached functions above which the oldest are removed; all functions of one version have about 200."""

_IMPORT = re.compile(r"^\s*(?:from|import) +(goalmaze[\w.]*)(?: +import +(\([^)]*\)|[^\n(]*))?", re.MULTILINE)


class CodeCache:
    """The cache of one function, with the methods that numba calls.

    Args:
        function: the Python function.
    """

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function

    @property
    def cache_path(self) -> str | None:
        """The folder of the cached code; None if nothing can be cached."""
        folder = cache_folder()
        return None if folder is None else str(folder)

    def load_overload(self, signature: object, target: Any) -> CompileResult | None:
        """Return the machine code for a signature; None if it is not cached, of other sources, or damaged."""
        target.refresh()
        path = self._path(signature, target.codegen())
        if path is None:
            return None
        # Any exception: what is wrong with a cache must not stop a program that does not need it.
        try:
            if not _is_trusted(path):
                return None
            content = path.read_bytes()
            code = content[DIGEST_BYTES:]
            if content[:DIGEST_BYTES] != _digest(code):
                return None
            return CompileResult._rebuild(target, *pickle.loads(code))
        except Exception:
            return None

    def save_overload(self, signature: object, result: Any) -> None:
        """Keep the machine code for a signature, if that is possible."""
        path = self._path(signature, result.codegen)
        # Code with addresses of this process means nothing in another one.
        if path is None or result.library.has_dynamic_globals or any(not loop.can_cache for loop in result.lifted):
            return
        with contextlib.suppress(Exception):
            code = dumps(result._reduce())
            _write(path, _digest(code) + code)

    def flush(self) -> None:
        """Do nothing: cached code is never stale."""

    def _path(self, signature: object, codegen: Any) -> Path | None:
        """Return the file for a signature; None if nothing can be cached."""
        folder, sources = cache_folder(), source_digest(self._function.__module__)
        if folder is None or sources is None:
            return None
        function = self._function.__code__
        key = (
            sources,
            f"{self._function.__module__}.{self._function.__qualname__}:{function.co_firstlineno}",
            str(signature),
            str(codegen.magic_tuple()),
            numba.__version__,
            sys.version,
        )
        return folder / f"goalmaze-{_digest(repr(key).encode()).hex()[:40]}.code"


@functools.cache
def source_digest(module: str) -> str | None:
    """Return a digest of the sources of a module and of all modules of `PACKAGE` that it imports, also indirectly.

    Compiled code holds the functions that it calls and the constants that it reads, from wherever they are imported.

    Returns:
        the digest; None for a module outside `PACKAGE`, or where a source cannot be read.
    """
    digest, waiting, reached = hashlib.blake2b(digest_size=DIGEST_BYTES), [module], set[str]()
    try:
        while waiting:
            name = waiting.pop()
            if name in reached:
                continue
            reached.add(name)
            source = _source_file(name)
            if source is None:
                # A name in a module, such as `compiled` in `jit.compile`.
                continue
            waiting += _imports(source.read_text("utf-8"))
        files = sorted({source for name in reached if (source := _source_file(name)) is not None})
        if not files or _source_file(module) is None:
            return None
        for file in files:
            content = file.read_bytes()
            digest.update(f"{file.relative_to(ROOT).as_posix()} {len(content)} ".encode() + content)
    except (OSError, ValueError):
        return None
    return digest.hexdigest()


def _imports(source: str) -> list[str]:
    """Return the modules of `PACKAGE` that a source imports, and the names from them, which may be modules too."""
    found = []
    for module, names in _IMPORT.findall(source):
        found += [module, *(f"{module}.{name}" for name in re.findall(r"\w+", names))]
    return found


def _source_file(module: str) -> Path | None:
    """Return the file of a module of `PACKAGE`; None if it is no such module."""
    if not module.startswith(f"{PACKAGE}."):
        return None
    base = ROOT.joinpath(*module.split(".")[1:])
    return next((file for file in (base / "__init__.py", base.with_suffix(".py")) if file.is_file()), None)


@functools.cache
def cache_folder() -> Path | None:
    """Return the first folder that can be written to: `NUMBA_CACHE_DIR`, beside this file, the user's; else None."""
    named, home = os.environ.get(FOLDER_VARIABLE), os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    folders = [Path(named)] if named else [Path(__file__).parent / "__pycache__", Path(home, "goalmaze")]
    for folder in folders:
        # RuntimeError: there is no home.
        with contextlib.suppress(OSError, RuntimeError):
            path = folder.expanduser()
            path.mkdir(parents=True, exist_ok=True)
            probe = path / f".goalmaze-{secrets.token_hex(8)}"
            probe.touch()
            probe.unlink()
            return path
    return None


def _is_trusted(path: Path) -> bool:
    """Return whether nobody but this user, root and the owner of the package can have written a file of the cache.

    Cached code is a pickle, as that of numba is, and `NUMBA_CACHE_DIR` may be a folder that many people write to.
    """
    if not hasattr(os, "geteuid"):
        return True
    found, owners = path.lstat(), {os.geteuid(), 0, Path(__file__).stat().st_uid}
    return stat.S_ISREG(found.st_mode) and found.st_uid in owners and not found.st_mode & stat.S_IWOTH


def _write(path: Path, content: bytes) -> None:
    """Write a file atomically, since other processes may read it, and remove the oldest ones if there are too many."""
    temporary = path.with_suffix(f".{secrets.token_hex(8)}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    files = list(path.parent.glob("goalmaze-*"))
    if len(files) > MAX_FILES:
        files.sort(key=lambda file: file.stat().st_mtime)
        for file in files[: MAX_FILES // 2]:
            file.unlink(missing_ok=True)


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest()
