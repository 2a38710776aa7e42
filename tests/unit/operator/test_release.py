"""The release as the operator's environment tells it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from hanax_operator.release import Release


def test_a_release_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANAX_OPERATOR_NAMESPACE", "search")
    monkeypatch.setenv("HANAX_OPERATOR_SHARD_IMAGE", "registry.example/server:1")
    monkeypatch.setenv("HANAX_OPERATOR_IMAGE_PULL_SECRETS", '["one", "two"]')
    monkeypatch.setenv("HANAX_OPERATOR_MONITORING_LABELS", '{"team": "search"}')
    release = Release()
    assert release.namespace == "search"
    assert release.shard_image == "registry.example/server:1"
    assert release.image_pull_secrets == ("one", "two")
    assert release.monitoring_labels == {"team": "search"}


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("namespace", "Search"),
        ("namespace", ""),
        ("release_name", "a" * 41),
        ("shard_image", ""),
        ("image_pull_policy", "Sometimes"),
        ("routing_config_map", ""),
        ("pool_stateful_set", "-pool"),
        ("default_storage_size", "10GiB"),
        ("default_storage_size", "0"),
        ("cluster_domain", ".local"),
        ("resync_s", "0"),
        ("probe_s", "0"),
    ],
)
def test_a_bad_value_names_its_setting(monkeypatch: pytest.MonkeyPatch, setting: str, value: str) -> None:
    monkeypatch.setenv(f"HANAX_OPERATOR_{setting.upper()}", value)
    with pytest.raises(ValidationError, match=setting):
        Release()


def test_what_may_be_empty() -> None:
    release = Release(pool_stateful_set="", default_storage_class="")
    assert (release.pool_stateful_set, release.default_storage_class) == ("", "")
