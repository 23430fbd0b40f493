#!/usr/bin/env bash
# Makes sure Rust can build components: the target `wasm32-wasip2`.
#
# Why a script: with a network, rustup adds the target in seconds. A machine that reaches only package
# registries (many build farms, and this project's CI) cannot ask rustup's host, so there the target is made from
# Debian's own packages: rustc and cargo with the matching library source, and the WASI C library. The result is
# linked into rustup as the toolchain `guest`; your own toolchain stays the default and is not touched.
#
#   WEIR_GUEST_TOOLCHAIN=auto     (default) nothing if a toolchain has the target, else rustup, else Debian
#   WEIR_GUEST_TOOLCHAIN=rustup   only rustup
#   WEIR_GUEST_TOOLCHAIN=debian   only Debian's packages (needs apt and root; 3 to 5 minutes, once)
#
# Running it again when all is there takes no time. `weir doctor` tells what it would find.
set -euo pipefail

TARGET=wasm32-wasip2
WAY=${WEIR_GUEST_TOOLCHAIN:-auto}

say() { printf 'guest target: %s\n' "$*"; }
die() { printf 'guest target: %s\n' "$*" >&2; exit 1; }

# Does the toolchain at this sysroot hold the target's standard library?
has_target() { compgen -G "$1/lib/rustlib/$TARGET/lib/libstd-*.rlib" >/dev/null; }

# From the folder that holds the repository, so that a rust-toolchain file, should one come, is honoured.
cd "$(dirname "$0")/.."
command -v rustc >/dev/null || die "no rustc on PATH; install Rust from https://rustup.rs"
SYSROOT=$(rustc --print sysroot)

default_has_it() { has_target "$SYSROOT"; }
guest_has_it() {
  command -v rustup >/dev/null || return 1
  local sysroot
  sysroot=$(rustup run guest rustc --print sysroot 2>/dev/null) && has_target "$sysroot"
}

by_rustup() {
  command -v rustup >/dev/null || { say "rustup is not installed"; return 1; }
  say "asking rustup for $TARGET"
  # A closed network may drop packets instead of refusing them: do not wait for ever.
  timeout 300 rustup target add "$TARGET"
}

by_debian() {
  command -v apt-get >/dev/null || die "WEIR_GUEST_TOOLCHAIN=debian needs apt-get, and this machine has none"
  command -v rustup >/dev/null || die "the toolchain is linked into rustup, and this machine has no rustup"
  local sudo="" host work
  [ "$(id -u)" = 0 ] || { command -v sudo >/dev/null || die "run as root, or install sudo"; sudo=sudo; }
  host=$(rustc -vV | sed -n 's/^host: //p')

  say "installing Debian's rustc, its library source and the WASI C library"
  $sudo apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends \
    rustc-web cargo-web rust-web-src wasi-libc >/dev/null

  # The linker of components and its LLD come with rustup's toolchain; Debian's rustc looks for them beside its own.
  $sudo mkdir -p "/usr/lib/rustlib/$host/bin"
  local tool
  for tool in wasm-component-ld rust-lld gcc-ld; do
    [ -e "$SYSROOT/lib/rustlib/$host/bin/$tool" ] || die "rustup's toolchain has no $tool in $SYSROOT/lib/rustlib/$host/bin"
    $sudo ln -sfn "$SYSROOT/lib/rustlib/$host/bin/$tool" "/usr/lib/rustlib/$host/bin/$tool"
  done

  # Start files and libc, where rustc expects those of a target it links by itself. Debian ships one build of them
  # for all WASI versions, in a folder with the old name.
  $sudo mkdir -p "/usr/lib/rustlib/$TARGET/lib/self-contained"
  local object
  for object in crt1-command.o crt1-reactor.o libc.a; do
    $sudo cp "/usr/lib/wasm32-wasi/$object" "/usr/lib/rustlib/$TARGET/lib/self-contained/"
  done

  say "building the standard library for $TARGET (a few minutes, once)"
  work=$(mktemp -d)
  mkdir -p "$work/src"
  printf '[package]\nname = "stdlib_builder"\nversion = "0.0.0"\nedition = "2024"\n' >"$work/Cargo.toml"
  : >"$work/src/lib.rs"
  # Debian's cargo, not the rustup proxy; RUSTC_BOOTSTRAP because -Zbuild-std is an unstable flag.
  (cd "$work" && env -u RUSTUP_TOOLCHAIN -u CARGO_TARGET_DIR RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 \
    /usr/bin/cargo build --quiet --release -Zbuild-std=std,panic_abort,proc_macro --target "$TARGET")
  rm -f "$work/target/$TARGET/release/deps/"libstdlib_builder-*
  $sudo cp "$work/target/$TARGET/release/deps/"*.rlib "/usr/lib/rustlib/$TARGET/lib/"
  rm -rf "$work"

  rustup toolchain link guest /usr
}

case $WAY in
  auto)
    default_has_it && { say "$TARGET is in the default toolchain"; exit 0; }
    guest_has_it && { say "$TARGET is in the toolchain \`guest\`"; exit 0; }
    by_rustup && default_has_it || { say "rustup could not add it; trying Debian's packages"; by_debian; } ;;
  rustup)
    default_has_it && { say "$TARGET is in the default toolchain"; exit 0; }
    by_rustup || die "rustup could not add $TARGET; on Debian without a network try WEIR_GUEST_TOOLCHAIN=debian" ;;
  debian)
    guest_has_it && { say "$TARGET is in the toolchain \`guest\`"; exit 0; }
    by_debian ;;
  *) die "WEIR_GUEST_TOOLCHAIN=\"$WAY\": expected auto, rustup or debian" ;;
esac

default_has_it || guest_has_it || die "$TARGET is still missing after set-up"
say "ready"
