"""Where the cache and the records are kept, and what is said where they cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from roofline.errors import OptionError
from roofline.user_folders import cache_folder, data_folder

from .cli_process import obey_permissions, run_python, run_roofline


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("ROOFLINE_CACHE", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_variables_come_before_the_home(variables: pytest.MonkeyPatch, tmp_path: Path) -> None:
    variables.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache/roofline"
    assert data_folder() == tmp_path / ".local/share/roofline"
    variables.setenv("XDG_CACHE_HOME", str(tmp_path / "c"))
    variables.setenv("XDG_DATA_HOME", str(tmp_path / "d"))
    assert cache_folder() == tmp_path / "c/roofline"
    assert data_folder() == tmp_path / "d/roofline"
    variables.setenv("ROOFLINE_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"


def test_relative_folders_of_the_desktop_are_ignored(
    variables: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    variables.setenv("HOME", str(tmp_path))
    variables.setenv("XDG_DATA_HOME", "here")
    assert data_folder() == tmp_path / ".local/share/roofline"


def test_without_a_home_the_variable_is_named(variables: pytest.MonkeyPatch) -> None:
    def homeless(_kind: type[Path]) -> Path:
        raise RuntimeError

    variables.setattr(Path, "home", classmethod(homeless))
    with pytest.raises(OptionError, match=r"no home folder to keep the cache in.*ROOFLINE_CACHE"):
        cache_folder()
    with pytest.raises(OptionError, match=r"no home folder to keep records in.*XDG_DATA_HOME"):
        data_folder()


@pytest.mark.parametrize("verb", ["measure mlp --backend onnxruntime", "validate mlp"])
def test_a_user_without_home_or_entry_is_told(verb: str, tmp_path: Path) -> None:
    homeless = """if True:
        import os, pwd
        os.environ.pop("HOME", None)
        pwd.getpwuid = lambda _: {}["nobody"]
        from roofline.cli import main
        main()
    """
    variables = {"ROOFLINE_CACHE": "", "XDG_CACHE_HOME": "", "XDG_DATA_HOME": ""}
    done = run_python("-c", homeless, *verb.split(), variables=variables, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "there is no home folder" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("verb", ["measure mlp --backend onnxruntime", "validate mlp"])
def test_a_read_only_home_is_told_before_the_work(verb: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o555)
    variables = {
        "HOME": str(home), "ROOFLINE_CACHE": "", "XDG_CACHE_HOME": "", "XDG_DATA_HOME": "",
    }  # fmt: skip
    done = run_roofline(
        *verb.split(), variables=variables, cwd=tmp_path, preexec_fn=obey_permissions
    )
    assert done.returncode == 2, done.stderr
    assert any(name in done.stderr for name in ("ROOFLINE_CACHE", "XDG_DATA_HOME"))
    assert done.stderr.count("\n") == 1
    assert list(home.iterdir()) == []


def test_counting_and_predicting_need_no_home(tmp_path: Path) -> None:
    variables = {"HOME": "/dev/null", "ROOFLINE_CACHE": "", "XDG_CACHE_HOME": ""}
    done = run_roofline(
        "predict", "mlp", "-p", "h100-sxm", "-d", "fp16", variables=variables, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
