"""The local stack's own services have a key where its callers need one."""

from __future__ import annotations

from pathlib import Path

import pytest

from hanax.core.api_keys import key_id_of
from hanax.local import service_keys
from hanax.local.service_keys import service_key_variables


def test_a_key_is_made_once_where_callers_need_keys(tmp_path: Path) -> None:
    file = tmp_path / "data" / "service-key"
    assert service_key_variables({}, file) == {}
    assert service_key_variables({"HANAX_ADMIN_KEY_FILE": ""}, file) == {}
    assert not file.exists()
    wanted = {"HANAX_SERVICE_KEY_FILE": str(file)}
    assert service_key_variables({"HANAX_ADMIN_KEY_FILE": "a"}, file) == wanted
    key = file.read_text()
    assert key_id_of(key.strip()) is not None
    assert file.stat().st_mode & 0o777 == 0o600
    assert service_key_variables({"HANAX_JWT_JWKS": "a"}, file) == wanted
    assert file.read_text() == key
    named = {"HANAX_ADMIN_KEY_FILE": "a", "HANAX_SERVICE_KEY_FILE": "b"}
    assert service_key_variables(named, file) == {}


def test_a_start_that_is_cut_short_leaves_no_empty_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No gateway would start any more with a file without a key."""
    file = tmp_path / "service-key"
    given = {"HANAX_ADMIN_KEY_FILE": "a"}

    def cut_short(key_id: str) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(service_keys, "new_key", cut_short)
        with pytest.raises(KeyboardInterrupt):
            service_key_variables(given, file)
    assert not file.exists()
    service_key_variables(given, file)
    assert key_id_of(file.read_text().strip()) is not None
    assert [found.name for found in tmp_path.iterdir()] == [file.name]
