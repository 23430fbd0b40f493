"""Holds manifests against schemas, strictly: what no schema knows is a fault.

    python3 validate.py 1.31 1.34 1.37 < manifests.yaml

Kubernetes' own kinds are held against each of the versions; those that extend it against their newest known definition. Every
fault is a line of standard output; what was looked at is told on standard error. The exit status is 1 if there are faults.
"""

import json
import pathlib
import sys

import jsonschema
import kubernetes_validate
import pydantic
import yaml
from cloudcoil.models.keda.v1alpha1 import ScaledObject
from cloudcoil.models.prometheus_operator.v1 import PrometheusRule, ServiceMonitor

MODELS = {
    "keda.sh/v1alpha1": {"ScaledObject": ScaledObject},
    "monitoring.coreos.com/v1": {"PrometheusRule": PrometheusRule, "ServiceMonitor": ServiceMonitor},
}
# No package index has that of the Gateway API. This one is of what we use, and knows nothing else.
ROUTE = json.loads(pathlib.Path(__file__).with_name("httproute.json").read_text())


def faults(manifest: dict, versions: list[str]):
    api, kind = manifest["apiVersion"], manifest["kind"]
    if api == "gateway.networking.k8s.io/v1":
        for error in jsonschema.Draft202012Validator(ROUTE).iter_errors(manifest):
            yield f"{error.json_path}: {error.message}"
        return
    if api in MODELS:
        model = MODELS[api].get(kind)
        if model is None:
            yield f"no schema for {api} {kind}"
            return
        try:
            model.model_validate(manifest, extra="forbid", by_alias=True, by_name=False)
        except pydantic.ValidationError as error:
            for fault in error.errors():
                yield f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
        return
    for version in versions:
        try:
            kubernetes_validate.validate(manifest, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            yield f"Kubernetes {version}: {'.'.join(map(str, error.path))}: {error.message}"
        except kubernetes_validate.SchemaNotFoundError:
            yield f"Kubernetes {version}: no schema for {api} {kind}"


def main() -> int:
    found = 0
    manifests = list(yaml.safe_load_all(sys.stdin))
    seen = set()
    for manifest in manifests:
        text = json.dumps(manifest, sort_keys=True)
        if text in seen:
            continue
        seen.add(text)
        name = f"{manifest['kind']} {manifest['metadata']['name']}"
        print(f"{manifest['apiVersion']} {name}", file=sys.stderr)
        for fault in faults(manifest, sys.argv[1:]):
            found += 1
            print(f"{name}: {fault}")
    return 1 if found or not manifests else 0


sys.exit(main())
