"""The chart as helm renders it, and the values that the goldens are made of."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import helm_python as helm
import yaml

ROOT: Final = Path(__file__).parents[3]
CHART: Final = ROOT / "charts" / "hana-x-vector"
CASES: Final = Path(__file__).parent / "goldens"

RELEASE: Final = "vectors"
NAMESPACE: Final = "search"

Manifest = dict[str, Any]

# Made anew at every rendering without a cluster: certificates, passwords, and the URLs that hold them.
_GENERATED: Final = re.compile(
    r"^( *(?:(?:ca\.crt|tls\.crt|tls\.key|caBundle): )(?=LS0t)|  (?:password|url): )[A-Za-z0-9+/=]+$",
    re.MULTILINE,
)


def case_values(case: str) -> Manifest:
    """The values file of a golden."""
    values: Manifest = yaml.safe_load((CASES / f"{case}.values.yaml").read_text()) or {}
    return values


def case_names() -> list[str]:
    return sorted(path.name.removesuffix(".values.yaml") for path in CASES.glob("*.values.yaml"))


def render_files(values: Mapping[str, Any], chart: Path = CHART, name: str = RELEASE) -> dict[str, str]:
    """Rendered text by template, without those that came out empty. Raises helm.HelmError."""
    with helm.Chart.load(chart) as loaded:
        rendered = loaded.render(dict(values), name=name, namespace=NAMESPACE)
    return {path: text for path, text in sorted(rendered.items()) if text.strip()}


def manifests_of(files: Mapping[str, str]) -> list[Manifest]:
    """Every object, in the order of the templates."""
    return [
        document
        for path, text in files.items()
        if not path.endswith("NOTES.txt")
        for document in yaml.safe_load_all(text)
        if document is not None
    ]


@cache
def _case_manifests(case: str) -> tuple[Manifest, ...]:
    return tuple(manifests_of(render_files(case_values(case))))


def case_manifests(case: str) -> list[Manifest]:
    """Every object of a golden's values. Not to be changed: they are shared."""
    return list(_case_manifests(case))


def golden_text(case: str) -> str:
    """What a case renders to, without what is generated."""
    parts = [
        f"# {path.removeprefix('hana-x-vector/')}\n{text.strip()}\n"
        for path, text in render_files(case_values(case)).items()
    ]
    return _GENERATED.sub(r"\1(generated)", "---\n".join(parts))


def find(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    return next(found for found in manifests if found["kind"] == kind and found["metadata"]["name"] == name)


def pod_templates(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """Every pod template, with the name of its owner."""
    for manifest in manifests:
        template = manifest.get("spec", {}).get("template")
        if isinstance(template, dict) and "containers" in template.get("spec", {}):
            yield f"{manifest['kind']} {manifest['metadata']['name']}", template


def containers(template: Manifest) -> list[Manifest]:
    spec = template["spec"]
    return [*spec.get("initContainers", ()), *spec["containers"]]
