#!/usr/bin/env bash
# Builds the image of what `make static` has put into target/static, bakes examples/basic-chat into another one, and tries both:
# how large they are, what they say of themselves, and whether they answer as user 65532 on a root that cannot be written to.
#
# Needs root, Buildah, curl and util-linux, and neither a daemon nor a registry: `apt-get install buildah curl`.
set -euo pipefail
cd "$(dirname "$0")/.."

LIMIT=$((60 * 1000 * 1000))
KEY=a-key-for-this-test-alone

die() { printf 'image: %s\n' "$*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || die "needs root"
command -v buildah >/dev/null || die "no buildah on PATH; apt-get install buildah"
[ -x target/static/weir ] || die "no target/static/weir; make static"

work=$(mktemp -d)
export BUILDAH_ISOLATION=chroot
# A store of its own: what else is on this machine stays as it is.
buildah() { command buildah --storage-driver vfs --root "$work/store" --runroot "$work/run" "$@"; }
pids=()
cleanup() {
  # unshare waits for what it has started, and takes it along when it is killed.
  for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
  wait
  rm -rf "$work"
}
trap cleanup EXIT

buildah bud --quiet --build-context "build=$PWD/target/static" --build-arg REVISION="$(git rev-parse HEAD)" -t weir . >/dev/null
mkdir "$work/flows"
cp -r examples/basic-chat "$work/flows/basic_chat"
buildah bud --quiet --build-arg WEIR=localhost/weir --build-arg FLOW=basic_chat \
  -f examples/kubernetes/flow.Dockerfile -t basic-chat "$work/flows" >/dev/null

# The value of a template, of an image.
of() { buildah inspect --type image --format "$2" "$1"; }

size=$(du -s --block-size=1 --apparent-size "$(buildah mount "$(buildah from --name weir-plain weir)")" | cut -f1)
echo "size of weir: $((size / 1000 / 1000)) MB"
[ "$size" -lt "$LIMIT" ] || die "the image has $size bytes, and should have less than $LIMIT"
[ "$(of weir '{{.OCIv1.Config.User}}')" = 65532:65532 ] || die "the image does not run as 65532"
[ "$(of weir '{{index .OCIv1.Config.Labels "org.opencontainers.image.revision"}}')" = "$(git rev-parse HEAD)" ] || die "no label"
if ldd target/static/weir 2>/dev/null | grep -q "=>"; then die "the program is not static"; fi

# As Buildah runs it: its own program, its user.
buildah run weir-plain -- /weir --version

root=$(buildah mount "$(buildah from --name flow basic-chat)")
code=$(find "$root/var/cache/weir" -name '*.cwasm' | wc -l)
[ "$code" -gt 0 ] || die "no machine code was baked in"
echo "machine code baked in: $code files, of $(stat -c %u:%g "$root/var/cache/weir/key")"

# As a pod runs it: the root read-only, no capability, no way to get one.
serve() {
  exec unshare --mount --pid --fork --kill-child -- bash -euc '
    root=$1; shift
    mount --make-rprivate /
    mount --bind "$root" "$root"
    # What a container runtime puts there.
    mkdir -p "$root/proc" "$root/etc" "$root/dev"
    cp /etc/resolv.conf /etc/hosts "$root/etc/"
    for device in null random urandom; do
      touch "$root/dev/$device"
      mount --bind "/dev/$device" "$root/dev/$device"
    done
    mount -t proc proc "$root/proc"
    mount -o remount,ro,bind "$root"
    exec env -i WEIR_CACHE_DIR=/var/cache/weir "$@" "$(type -P setpriv)" --no-new-privs \
      "$(type -P chroot)" --userspec=65532:65532 --groups=65532 "$root" /weir serve /flows/basic_chat' bash "$root" "$@"
}
serve WEIR_LISTEN=127.0.0.1:0 WEIR_ADMIN_LISTEN=127.0.0.1:0 WEIR_PRIMARY_KEY="$KEY" \
  OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:9 >"$work/out" 2>"$work/err" &
pids+=($!)
for _ in $(seq 100); do
  if grep -q '^listening on' "$work/out"; then break; fi
  kill -0 "${pids[0]}" 2>/dev/null || { cat "$work/out" "$work/err" >&2; die "it ended"; }
  sleep 0.1
done
address=$(sed -n 's|^listening on ||p' "$work/out")
admin=$(sed -n 's|^admin on ||p' "$work/out")
weir=$(pgrep -P "$(pgrep -P "${pids[0]}" | head -1)" -x weir || pgrep -P "${pids[0]}" -x weir)
echo "$(grep -E '^(Uid|CapEff|NoNewPrivs)' "/proc/$weir/status" | tr -s '\t\n' ' ')"
grep -q '^Uid:.65532.65532' "/proc/$weir/status" || die "it does not run as 65532"
grep -E " / ro[, ]" "/proc/$weir/mountinfo" >/dev/null || die "its root can be written to"

curl -fsS -H "Authorization: Bearer $KEY" -d '{"question": "What is a weir?"}' "$address/score"
echo
status=$(curl -sS -o /dev/null -w '%{http_code}' -d '{"question": "hi"}' "$address/score")
[ "$status" = 401 ] || die "without a key /score says $status"
curl -fsS "$admin/metrics" >"$work/metrics"
grep '^weir_compile_cache_lookup' "$work/metrics"
if grep -q 'weir_compile_cache_lookup_total{.*result="miss".*} [1-9]' "$work/metrics"; then die "it compiled anew"; fi
grep -q '^flow_request_total{.*flow="basic_chat"' "$work/metrics" || die "the flow has another name"
kill -TERM "$weir"
wait "${pids[0]}" || die "it ended with $?"
pids=()
echo "image: all is well"
