"""Migration files as people make them: by `create`, and with faults in them, which are named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.integration.migrations.command import Migrations

NOTHING = "def up(steps): pass\ndef down(steps): pass\n"
DOWN = "def down(steps): pass\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import sys\nsys.exit(0)\n" + NOTHING, "SystemExit: 0"),
        ("import nowhere\n" + NOTHING, "No module named 'nowhere'"),
        ("\0" + NOTHING, "null bytes"),
        ("def up(steps): raise SystemExit(0)\n" + DOWN, "`up`: SystemExit: 0"),
        ("async def up(steps): steps.remove_alias('a')\n" + DOWN, "`up` has to be a plain function"),
        ("def up(steps):\n    yield steps.remove_alias('a')\n" + DOWN, "`up` has to be a plain function"),
        (NOTHING + "async def validate(checks): pass\n", "`validate` has to be a plain function"),
        (NOTHING + "def validate(checks): raise KeyError('gone')\n", "`validate`: KeyError: 'gone'"),
        (NOTHING + "validate = 3\n", "defines no function `validate`"),
        ("def up(steps): steps.call('say', do=None)\n" + DOWN, "expected a function for do=, got None"),
        (
            "def up(steps): steps.call('say', do=print, undo=3)\n" + DOWN,
            "expected a function for undo=, got 3",
        ),
    ],
)
def test_a_fault_in_any_file_stops_all_before_anything_is_done(
    migrations: Migrations, text: str, message: str
) -> None:
    migrations.write("0001_films", "def up(steps): steps.create_collection('films', dimension=3)\n" + DOWN)
    migrations.write("0002_wrong", text)
    for words in (["validate"], ["up", "--dry-run"], ["up"]):
        told = migrations.run(*words, code=2)
        assert message in told
        assert "0002_wrong" in told
    assert migrations.collection("films") is None
    assert migrations.rows(code=3) == {"0001_films": "pending", "0002_wrong": "pending"}


def test_what_a_file_defines_may_be_any_python(migrations: Migrations) -> None:
    """Dataclasses look for their module; no `from __future__` is in force that the file does not have."""
    migrations.write(
        "0001_plain",
        "from dataclasses import dataclass\n\n@dataclass\nclass Spec:\n    dimension: int = 3\n\n"
        "assert Spec.__annotations__ == {'dimension': int}\n" + NOTHING,
    )
    migrations.write(
        "0002_later",
        "from __future__ import annotations\nfrom dataclasses import dataclass\n\n@dataclass\nclass Spec:\n"
        "    dimension: int = 3\n" + NOTHING,
    )
    assert "2 migrations are well-formed." in migrations.run("validate")


def test_what_is_no_file_is_named(migrations: Migrations) -> None:
    (migrations.folder / "0001_folder.py").mkdir()
    for words in (["status"], ["validate"], ["up"]):
        assert "0001_folder.py can't be read: Is a directory" in migrations.run(*words, code=2)


def test_a_file_under_another_name_is_recognised(migrations: Migrations) -> None:
    path = migrations.write("0001_films", NOTHING)
    migrations.run("up")
    path.rename(migrations.folder / "0001_cinema.py")
    told = migrations.run("up", code=1)
    assert "0001_films is applied, but its file is gone" in told
    assert "0001_cinema is the same under another name" in told


@pytest.mark.parametrize("target", ["²", "7", "0002", "films", ""])
def test_a_target_that_is_none_is_named(migrations: Migrations, target: str) -> None:
    migrations.write("0001_films", NOTHING)
    assert f"there is no migration {target!r}" in migrations.run("up", "--target", target, code=4)


def test_a_target_that_is_behind_is_told_of(migrations: Migrations) -> None:
    migrations.write("0001_films", NOTHING)
    migrations.write("0002_more", NOTHING)
    migrations.run("up")
    assert "Nothing is pending up to 0001." in migrations.run("up", "--target", "0001")
    assert set(migrations.rows().values()) == {"applied"}


@pytest.mark.parametrize("steps", ["0", "-1", "one"])
def test_a_number_of_steps_that_is_none_is_refused(migrations: Migrations, steps: str) -> None:
    assert "--steps" in migrations.run("down", "--steps", steps, code=2)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("../../a  path\\of", "0001_a_path_of.py"),
        ("Übersicht", "0001_ubersicht.py"),
        ("漢字", None),
        ("", None),
        ("x" * 121, None),
    ],
)
def test_any_name_is_a_file_of_this_folder_or_refused(
    migrations: Migrations, name: str, file: str | None
) -> None:
    told = migrations.run("create", "--name", name, code=2 if file is None else 0)
    assert [one.name for one in migrations.folder.iterdir()] == ([] if file is None else [file])
    if file is None:
        assert "up to 120 of the letters a to z and digits" in told


@pytest.mark.parametrize("collection", ['a"b', "a\\", "a\nb", "A", "../a", "x" * 56, ""])
def test_what_can_be_no_collection_is_not_written_into_a_file(
    migrations: Migrations, collection: str
) -> None:
    told = migrations.run(
        "create", "--name", "one", "--template", "model", "--collection", collection, code=2
    )
    assert "--collection: expected 1 to 55 lower-case letters" in told
    assert "--model: expected the name of a model" in migrations.run(
        "create", "--name", "one", "--template", "model", "--model", 'a"b', code=2
    )
    assert list(migrations.folder.iterdir()) == []


def test_a_file_is_there_once_it_is_whole(migrations: Migrations, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def die(_: int) -> None:
        raise Killed

    with monkeypatch.context() as patches:
        patches.setattr(os, "fsync", die)
        with pytest.raises(Killed):
            migrations.run("create", "--name", "one")
    assert migrations.rows() == {}
    migrations.run("create", "--name", "one")
    assert [path.name for path in migrations.folder.iterdir()] == ["0001_one.py"]


def test_templates_work_together_as_they_are(migrations: Migrations) -> None:
    for name in ("collection", "index", "basic"):
        migrations.run("create", "--name", name, "--template", name)
    assert "3 applied." in migrations.run("up")
    # As the template `model` leaves it behind: the alias stands for the collection.
    articles = migrations.stack.data(migrations.stack.client.get("/api/v1/aliases/articles-current"))
    assert articles["collection"] == "articles"
    assert "3 taken back." in migrations.run("down", "--steps", "3", "--yes")
    assert migrations.collection("articles") is None


def test_commands_that_only_look_make_no_database(migrations: Migrations, tmp_path: Path) -> None:
    migrations.write("0001_films", NOTHING)
    migrations.rows(code=3)
    migrations.run("validate")
    migrations.run("up", "--dry-run")
    migrations.run("down", "--steps", "1", "--dry-run")
    assert [path.name for path in tmp_path.iterdir()] == ["migrations"]


def test_a_folder_that_is_a_file_is_named(migrations: Migrations) -> None:
    migrations.folder.rmdir()
    migrations.folder.write_text("")
    assert "is no folder" in migrations.run("init", code=1)
