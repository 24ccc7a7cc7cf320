"""Registries: built-ins without importing them, third parties, and two owners of one name."""

from importlib.metadata import EntryPoint

import pytest

from raydino import registry
from raydino.errors import UserError
from raydino.registry import Registry

BUILTIN = {"square": "math:pow", "broken": "no_such_module_anywhere:thing"}


@pytest.fixture
def third_party(monkeypatch):
    def install(*points: EntryPoint) -> None:
        monkeypatch.setattr(registry, "entry_points", lambda group: [p for p in points if p.group == group])

    return install


def test_builtins_load_when_asked_for():
    made = Registry("function", "test.functions", BUILTIN)
    assert list(made.plugins()) == ["broken", "square"]
    assert made.get("square")(2, 3) == 8
    assert "no_such_module_anywhere" in (made.plugins()["broken"].missing() or "")
    assert made.plugins()["square"].missing() is None


def test_a_missing_module_says_what_to_install():
    with pytest.raises(UserError, match="pip install no_such_module_anywhere"):
        Registry("function", "test.functions", BUILTIN).get("broken")


def test_third_parties_join(third_party):
    third_party(EntryPoint("root", "math:sqrt", "test.functions"))
    assert Registry("function", "test.functions", BUILTIN).get("root")(9) == 3


def test_two_owners_of_a_name(third_party):
    third_party(EntryPoint("square", "math:sqrt", "test.functions"))
    with pytest.raises(UserError, match=r"two packages register the function 'square': raydino \(math:pow\) and"):
        Registry("function", "test.functions", BUILTIN).plugins()


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(UserError, match=r"no function is called 'sqare'; did you mean 'square'\?"):
        Registry("function", "test.functions", BUILTIN).get("sqare")
