"""`hana-x-migrate` on a real gateway: what is applied, taken back, refused, and left by one that died."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.integration.migrations.command import Migrations
from tests.integration.waiting import wait_until

CREATE = """
def up(steps):
    steps.create_collection("films", dimension=3)
    steps.point_alias("current", "films")

def down(steps):
    steps.remove_alias("current")
    steps.delete_collection("films")

def validate(checks):
    checks.collection("films", dimension=3)
    checks.alias("current", "films")
"""


def test_migrations_are_applied_in_order_and_taken_back_in_reverse(migrations: Migrations) -> None:
    migrations.write("0001_films", CREATE)
    migrations.write(
        "0002_index",
        "def up(steps):\n    steps.change_collection('films', index={'type': 'flat'})\n"
        "def down(steps):\n    steps.change_collection('films', index={'type': 'auto'})\n",
    )
    assert migrations.rows(code=3) == {"0001_films": "pending", "0002_index": "pending"}
    told = migrations.run("up", "--dry-run")
    assert "create collection films" in told
    assert migrations.collection("films") is None

    migrations.run("up", "--target", "0001_films")
    assert migrations.rows(code=3) == {"0001_films": "applied", "0002_index": "pending"}
    assert "1 applied." in migrations.run("up")
    assert "Nothing is pending." in migrations.run("up")
    assert migrations.rows() == {"0001_films": "applied", "0002_index": "applied"}
    films = migrations.collection("films")
    assert films is not None
    assert films["index"]["type"] == "flat"

    migrations.run("down", "--steps", "1")
    films = migrations.collection("films")
    assert films is not None
    assert films["index"]["type"] == "auto"
    told = migrations.run("down", "--steps", "1", code=1)
    assert "delete collection films and its points" in told
    assert "--yes" in told
    assert migrations.collection("films") is not None
    migrations.run("down", "--steps", "1", "--yes")
    assert migrations.collection("films") is None
    assert migrations.rows(code=3) == {"0001_films": "pending", "0002_index": "pending"}


def test_a_step_that_fails_is_named_and_those_before_it_are_undone(migrations: Migrations) -> None:
    migrations.stack.create("there")
    migrations.write(
        "0001_half",
        "def fail(api):\n    raise OSError('no disk')\n"
        "def up(steps):\n    steps.create_collection('films', dimension=3)\n"
        "    steps.change_collection('there', target_recall=0.99)\n"
        "    steps.point_alias('current', 'films')\n    steps.call('call home', do=fail)\n"
        "def down(steps): pass\n",
    )
    told = migrations.run("up", code=1)
    assert "0001_half: step 4, call home: OSError: no disk; what was done before it is undone" in told
    assert migrations.collection("films") is None
    there = migrations.collection("there")
    assert there is not None
    assert there["target_recall"] is None
    assert migrations.stack.client.get("/api/v1/aliases/current").status_code == 404
    assert migrations.rows(code=3) == {"0001_half": "pending"}


def test_what_is_not_as_expected_afterwards_is_undone(migrations: Migrations) -> None:
    migrations.write(
        "0001_films",
        CREATE.replace('checks.collection("films", dimension=3)', 'checks.points("films", at_least=1)'),
    )
    told = migrations.run("up", code=1)
    assert "expected at least 1 points, got 0" in told
    assert migrations.collection("films") is None


def test_a_file_that_was_changed_after_it_was_applied_stops_everything(migrations: Migrations) -> None:
    path = migrations.write("0001_films", CREATE)
    migrations.run("up")
    migrations.write("0002_more", CREATE.replace("films", "more").replace("current", "other"))
    path.write_text(CREATE.replace("dimension=3", "dimension=4"))
    for words in (["up"], ["down", "--steps", "1"], ["validate"]):
        assert "0001_films was changed after it was applied" in migrations.run(*words, code=1)
    assert migrations.rows(code=3) == {"0001_films": "edited", "0002_more": "pending"}
    path.unlink()
    assert "its file is gone" in migrations.run("up", code=1)
    assert migrations.collection("more") is None


def test_line_ends_are_no_change(migrations: Migrations) -> None:
    path = migrations.write("0001_films", CREATE)
    migrations.run("up")
    path.write_bytes(CREATE.replace("\n", "\r\n").encode())
    assert migrations.rows() == {"0001_films": "applied"}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("first", "", "expected a name like 0001_create_articles.py"),
        ("0001_broken", "def up(:", "SyntaxError"),
        ("0001_no_down", "def up(steps): pass", "defines no function `down`"),
        ("0001_odd", "def up(steps): steps.destroy()\ndef down(steps): pass", "has no attribute 'destroy'"),
        (
            "0001_change",
            "def up(steps): steps.change_collection('a', metric='dot')\ndef down(steps): pass",
            "expected some of index",
        ),
        (
            "0001_last",
            "def up(steps):\n    steps.delete_collection('a')\n    steps.remove_alias('b')\n"
            "def down(steps): pass",
            "nothing may follow 'delete collection a and its points'",
        ),
    ],
)
def test_a_file_that_is_not_well_formed_is_named(
    migrations: Migrations, name: str, text: str, message: str
) -> None:
    migrations.write(name, text)
    for words in (["validate"], ["up"]):
        told = migrations.run(*words, code=2)
        assert message in told
        assert name in told


def test_two_files_of_one_number_are_refused(migrations: Migrations) -> None:
    migrations.write("0001_films", CREATE)
    migrations.write("0001_more", CREATE)
    assert "have the same number" in migrations.run("validate", code=2)


def test_a_lower_number_than_one_that_is_applied_is_refused(migrations: Migrations) -> None:
    migrations.write("0002_films", CREATE)
    migrations.run("up")
    migrations.write("0001_late", CREATE.replace("films", "late").replace("current", "other"))
    assert migrations.rows(code=3) == {"0001_late": "out_of_order", "0002_films": "applied"}
    assert "give it a higher one" in migrations.run("up", code=2)


@pytest.mark.parametrize("template", ["collection", "index", "basic"])
def test_a_template_works_as_it_is(migrations: Migrations, template: str) -> None:
    if template == "index":
        migrations.stack.create("articles")
    migrations.run("create", "--name", f"the {template} one", "--template", template)
    assert list(migrations.rows(code=3)) == [f"0001_the_{template}_one"]
    migrations.run("validate")
    migrations.run("up")
    assert set(migrations.rows().values()) == {"applied"}
    migrations.run("down", "--steps", "1", "--yes")


def test_the_template_of_a_model_names_the_one_that_is_meant(migrations: Migrations) -> None:
    words = ("create", "--name", "tiny", "--template", "model", "--collection", "films", "--model", "tiny")
    migrations.run(*words)
    written = (migrations.folder / "0001_tiny.py").read_text()
    assert 'MODEL = "tiny"' in written
    assert 'COLLECTION = "films"' in written
    migrations.run("validate")


def test_one_that_was_killed_is_undone_by_the_next(migrations: Migrations) -> None:
    mark = migrations.folder / "reached"
    migrations.write(
        "0001_slow",
        "import pathlib, time\n"
        f"mark = pathlib.Path({str(mark)!r})\n"
        "def wait(api):\n"
        "    if not mark.exists():\n        mark.touch()\n        time.sleep(120)\n"
        "def up(steps):\n    steps.create_collection('films', dimension=3)\n"
        "    steps.call('wait', do=wait, undo=lambda api: None)\n"
        "def down(steps):\n    steps.delete_collection('films')\n",
    )
    process = migrations.start("up")
    wait_until("the second step began", mark.exists)
    process.kill()
    process.communicate()
    before = migrations.collection("films")
    assert before is not None
    assert migrations.rows(code=3) == {"0001_slow": "unfinished"}
    assert "somebody else migrates" in migrations.run("up", code=1)
    migrations.free_lock()
    told = migrations.run("up")
    assert "was left unfinished; it is undone first" in told
    after = migrations.collection("films")
    assert after is not None
    assert after["uid"] != before["uid"]
    assert migrations.rows() == {"0001_slow": "applied"}


SLOW = """
import pathlib, time
mark = pathlib.Path({mark!r})
def wait(api):
    if not mark.exists():
        mark.touch()
        time.sleep(120)
def up(steps):
    steps.call('wait', do=wait, undo=lambda api: None)
    steps.create_collection('films', dimension=3)
def down(steps):
    steps.delete_collection('films')
"""


def test_down_undoes_what_was_done_of_an_unfinished_one_and_no_more(migrations: Migrations) -> None:
    migrations.stack.create("films")
    mark = migrations.folder / "reached"
    migrations.write("0001_slow", SLOW.format(mark=str(mark)))
    process = migrations.start("up")
    wait_until("the first step began", mark.exists)
    process.kill()
    process.communicate()
    migrations.free_lock()
    assert "is undone first" in migrations.run("down", "--steps", "1", "--yes")
    # It was there before, and `up` never came to it.
    assert migrations.collection("films") is not None
    assert migrations.rows(code=3) == {"0001_slow": "pending"}


def test_what_was_begun_of_an_unfinished_one_may_not_change(migrations: Migrations) -> None:
    mark = migrations.folder / "reached"
    path = migrations.write("0001_slow", SLOW.format(mark=str(mark)))
    process = migrations.start("up")
    wait_until("the first step began", mark.exists)
    process.kill()
    process.communicate()
    migrations.free_lock()
    assert "0001_slow: was left unfinished" in migrations.run("up", "--dry-run")
    whole = path.read_text()
    path.write_text(whole.replace("'wait'", "'watch'"))
    for words in (
        ["up"],
        ["up", "--dry-run"],
        ["down", "--steps", "1"],
        ["down", "--steps", "1", "--dry-run"],
    ):
        told = migrations.run(*words, code=1)
        assert "0001_slow was left unfinished, and its `up` says other steps now" in told
    assert migrations.rows(code=3) == {"0001_slow": "unfinished"}
    # What was not begun may: else a fault in it could not be mended.
    path.write_text(whole.replace("dimension=3", "dimension=4"))
    migrations.run("up")
    films = migrations.collection("films")
    assert films is not None
    assert films["dimension"] == 4
    assert migrations.rows() == {"0001_slow": "applied"}


def test_a_job_that_an_unfinished_one_ordered_is_cancelled(migrations: Migrations) -> None:
    client = migrations.stack.client
    migrations.stack.create("texts")
    migrations.write(
        "0001_model",
        "def up(steps):\n    steps.reembed('texts', 'texts-v2', model='model')\n"
        "def down(steps):\n    steps.delete_collection('texts-v2')\n",
    )

    def jobs(state: str) -> list[str]:
        told = migrations.stack.data(client.get(f"/api/v1/jobs?state={state}"))["jobs"]
        return [job["spec"]["target"] for job in told]

    process = migrations.start("up")
    wait_until("the job is ordered", lambda: jobs("queued") == ["texts-v2"])
    process.kill()
    process.communicate()
    migrations.free_lock()
    migrations.run("down", "--steps", "1", "--yes")
    assert jobs("queued") == []
    assert jobs("cancelled") == ["texts-v2"]


def test_functions_of_a_step_do_not_hold_up_the_lock(migrations: Migrations) -> None:
    migrations.write(
        "0001_thread",
        "import threading\n"
        "def act(api):\n    assert threading.current_thread() is not threading.main_thread()\n"
        "def up(steps):\n    steps.call('act', do=act)\ndef down(steps): pass\n",
    )
    migrations.run("up")


def test_status_is_told_to_programs_too(migrations: Migrations) -> None:
    migrations.write("0001_films", CREATE)
    migrations.run("up")
    (row,) = yaml.safe_load(migrations.run("status", "--format", "yaml"))
    assert row["name"] == "0001_films"
    assert row["state"] == "applied"
    assert row["error"] is None
    assert "0001_films" in migrations.run("status")


def test_a_gateway_that_is_away_is_named(migrations: Migrations, monkeypatch: pytest.MonkeyPatch) -> None:
    migrations.write("0001_films", CREATE)
    monkeypatch.setattr("hanax.cli.connection._PATIENCE_S", 0.1)
    monkeypatch.setenv("HANAX_API_URL", "http://127.0.0.1:9")
    assert "http://127.0.0.1:9 does not answer" in migrations.run("up", code=5)
    assert migrations.rows(code=3) == {"0001_films": "pending"}


def test_a_gateway_that_is_away_leaves_what_is_applied_as_it_is(
    migrations: Migrations, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrations.write("0001_films", CREATE)
    migrations.run("up")
    monkeypatch.setattr("hanax.cli.connection._PATIENCE_S", 0.1)
    monkeypatch.setenv("HANAX_API_URL", "http://127.0.0.1:9")
    assert "does not answer" in migrations.run("down", "--steps", "1", "--yes", code=5)
    assert migrations.rows() == {"0001_films": "applied"}
    assert "Nothing is pending." in migrations.run("up")


def test_a_folder_that_is_not_there_is_named(migrations: Migrations, tmp_path: Path) -> None:
    migrations.folder = tmp_path / "elsewhere"
    assert "hana-x-migrate init" in migrations.run("status", code=4)
    assert "Migrations are kept in" in migrations.run("init")
    assert migrations.run("status", "--format", "json").strip() == "[]"
