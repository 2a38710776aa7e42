"""What is written is known at once; what is found to be gone is forgotten."""

from __future__ import annotations

from hanax_operator.apply import Applier
from hanax_operator.objects import SERVICE, key
from hanax_operator.plan.actions import Delete
from hanax_operator.store import Store
from tests.unit.operator.memory_api import MemoryApi
from tests.unit.operator.samples import child

NAME = "vc-docs"


async def test_an_object_that_is_gone_already_leaves_the_store() -> None:
    """Else it would be deleted again and again, and what waits for it would wait for ever."""
    api, store = MemoryApi(), Store(())
    obj = child("Service", NAME)
    store.put(obj)
    await Applier(api.as_api(), store).run([Delete(key(SERVICE, NAME), obj["metadata"]["uid"], "test")])
    assert store.get(key(SERVICE, NAME)) is None


async def test_an_object_that_is_being_deleted_stays_until_it_is_gone() -> None:
    api, store = MemoryApi(), Store(())
    obj = child("Service", NAME)
    store.put(obj)
    api.objects[key(SERVICE, NAME)] = obj
    await Applier(api.as_api(), store).run([Delete(key(SERVICE, NAME), obj["metadata"]["uid"], "test")])
    assert store.get(key(SERVICE, NAME)) is not None
