"""The examples in the docstrings of the testing kit and the widgets run as written."""

import doctest
import importlib

import pytest

import upload_tui.testing

PUBLIC = [(module, name) for module in ("upload_tui.testing",) for name in importlib.import_module(module).__all__]


def examples(thing: object, name: str) -> list[doctest.DocTest]:
    return [found for found in doctest.DocTestFinder().find(thing, name) if found.examples]


@pytest.mark.parametrize(("module", "name"), PUBLIC, ids=[f"{module}.{name}" for module, name in PUBLIC])
def test_each_public_name_has_an_example_that_passes(
    module: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    package = importlib.import_module(module)
    thing = getattr(package, name)
    # A constant has no docstring of its own; its package shows it.
    is_constant = not callable(thing)
    found = examples(package if is_constant else thing, name)
    assert found, f"{name} has no example"
    assert not is_constant or any(name in example.source for test in found for example in test.examples)
    results = [doctest.DocTestRunner().run(test) for test in found]
    assert not any(result.failed for result in results), capsys.readouterr().out


@pytest.mark.parametrize("module", ["upload_tui.testing", "upload_tui.widgets"])
def test_the_example_of_a_public_module_passes(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    package = importlib.import_module(module)
    found = doctest.DocTestFinder(recurse=False).find(package)[0]
    assert found.examples
    assert not doctest.DocTestRunner().run(found).failed, capsys.readouterr().out


def test_dir_lists_all_public_names() -> None:
    assert set(dir(upload_tui.testing)) == set(upload_tui.testing.__all__)
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = upload_tui.testing.no_such_name
