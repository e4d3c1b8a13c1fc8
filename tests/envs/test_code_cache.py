"""The cache of machine code: never stale, never needed, and no damage of its files does harm."""

from __future__ import annotations

import errno
import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numba
import pytest

from goalmaze.envs.jit import cache
from goalmaze.envs.jit.compile import callback, compiled

CALLEE = "from goalmaze.envs.jit.compile import compiled\n\n\n@compiled\ndef number():\n    return {number}\n"
CALLER = (
    "from goalmaze.envs.{callee} import number\nfrom goalmaze.envs.jit.compile import compiled\n\n\n"
    "@compiled\ndef total():\n    return number() + 10\n"
)


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of sources and their cache, in place of those of `goalmaze.envs`."""
    folder = tmp_path / "envs"
    (folder / "cache").mkdir(parents=True)
    monkeypatch.setattr(cache, "ROOT", tmp_path)
    monkeypatch.setattr(cache, "cache_folder", lambda: folder / "cache")
    (folder / "callee.py").write_text(CALLEE.format(number=1))
    (folder / "caller.py").write_text(CALLER.format(callee="callee"))
    cache.source_digest.cache_clear()
    yield folder
    cache.source_digest.cache_clear()
    for name in ("envs.callee", "envs.caller", "agents.caller"):
        sys.modules.pop(f"goalmaze.{name}", None)


def imported(folder: Path, name: str) -> ModuleType:
    """Import a module as the next process would."""
    spec = importlib.util.spec_from_file_location(f"goalmaze.{folder.name}.{name}", folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    # Past Python's own cache, which compares times and sizes of sources.
    exec(compile((folder / f"{name}.py").read_text(), str(folder / f"{name}.py"), "exec"), module.__dict__)
    return module


def total(folder: Path) -> tuple[int, int]:
    """Return the total, and how many functions came from the cache."""
    cache.source_digest.cache_clear()
    callee, caller = imported(folder, "callee"), imported(folder, "caller")
    value = caller.total()
    return value, sum(sum(one.stats.cache_hits.values()) for one in (callee.number, caller.total))


def test_code_of_another_room_is_kept_and_as_fresh(sources: Path) -> None:
    room = sources.with_name("agents")
    room.mkdir()
    (sources / "caller.py").rename(room / "caller.py")

    def outcome() -> tuple[int, int]:
        cache.source_digest.cache_clear()
        imported(sources, "callee")
        caller = imported(room, "caller")
        return caller.total(), sum(caller.total.stats.cache_hits.values())

    assert outcome() == (11, 0)
    assert outcome() == (11, 1)
    (sources / "callee.py").write_text(CALLEE.format(number=2))
    assert outcome() == (12, 0)


def code_files(folder: Path) -> list[Path]:
    return sorted((folder / "cache").glob("goalmaze-*"))


def test_code_is_compiled_anew_after_a_change_of_what_it_calls(sources: Path) -> None:
    assert total(sources) == (11, 0)
    assert total(sources) == (11, 1)
    (sources / "callee.py").write_text(CALLEE.format(number=2))
    assert total(sources) == (12, 0)
    assert total(sources) == (12, 1)


def test_code_that_other_people_can_have_written_is_not_run(sources: Path) -> None:
    assert total(sources) == (11, 0)
    for file in code_files(sources):
        file.chmod(0o646)
    assert total(sources) == (11, 0)
    # the files were written anew, by this user
    assert total(sources) == (11, 1)
    if os.geteuid() == 0:
        for file in code_files(sources):
            os.chown(file, 12345, 12345)
        assert total(sources) == (11, 0)


def test_numbas_own_cache_would_be_stale(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: it compares the file of the calling function alone."""
    monkeypatch.setattr(numba.core.config, "CACHE_DIR", str(sources / "cache"))
    for name in ("callee", "caller"):
        text = (sources / f"{name}.py").read_text()
        text = text.replace("from goalmaze.envs.jit.compile import compiled", "import numba")
        (sources / f"{name}.py").write_text(text.replace("@compiled", "@numba.njit(cache=True)"))
    assert total(sources)[0] == 11
    (sources / "callee.py").write_text((sources / "callee.py").read_text().replace("return 1", "return 2"))
    assert total(sources)[0] == 11


@pytest.mark.parametrize("damage", [lambda code: b"", lambda code: code[:-9], lambda code: b"x" + code[1:],
                                    lambda code: code[:2000] + bytes([code[2000] ^ 1]) + code[2001:]])  # fmt: skip
def test_damaged_code_is_compiled_anew_and_replaced(sources: Path, damage: object) -> None:
    assert callable(damage)
    total(sources)
    count = len(code_files(sources))
    for file in code_files(sources):
        file.write_bytes(damage(file.read_bytes()))
    assert total(sources) == (11, 0)
    assert len(code_files(sources)) == count == 2
    assert total(sources) == (11, 1)


def test_nothing_needs_the_cache(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(cache, "_write", full)
        assert total(sources) == (11, 0)
    assert code_files(sources) == []
    monkeypatch.setattr(cache, "cache_folder", lambda: None)
    assert total(sources) == (11, 0)


def test_a_folder_that_cannot_be_written_to_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(cache, "__file__", str(tmp_path / "file" / "cache.py"))
    monkeypatch.delenv(cache.FOLDER_VARIABLE, raising=False)
    found = []
    for home in (tmp_path / "file", tmp_path / "home"):
        monkeypatch.setenv("XDG_CACHE_HOME", str(home))
        cache.cache_folder.cache_clear()
        found.append(cache.cache_folder())
    cache.cache_folder.cache_clear()
    assert found == [None, tmp_path / "home" / "goalmaze"]


def test_code_depends_on_the_sources_that_it_reaches_and_on_no_others() -> None:
    reached = {
        name: cache.source_digest(f"goalmaze.envs.{name}")
        for name in ("engine.kernels", "jit.flood", "mazes.prim", "solving", "nowhere")
    }
    assert reached["nowhere"] is None
    assert len(set(reached.values())) == len(reached)
    assert cache.source_digest("tests.plans") is None
    kernels = set(cache._imports((cache.ROOT / "envs" / "engine" / "kernels.py").read_text()))
    assert {"goalmaze.envs.engine.rules", "goalmaze.envs.jit.compile"} <= kernels


def test_functions_outside_goalmaze_are_not_kept(sources: Path) -> None:
    def plus(x: int) -> int:
        return x + 1

    assert compiled(plus)(2) == 3
    assert code_files(sources) == []


def test_a_callback_is_compiled_when_its_address_is_needed(sources: Path) -> None:
    @callback(numba.types.int64(numba.types.int64))
    def double(x: int) -> int:
        return 2 * x

    assert "ctypes" not in vars(double)
    assert double.ctypes(21) == 42
