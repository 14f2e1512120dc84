#!/bin/sh
# Installs what a target needs and this machine lacks: from Debian's packages only, and says what.
#
#   scripts/setup.sh demo      a C compiler and Rust
#   scripts/setup.sh check     that, and every language, tool and peer that the tests use
#   scripts/setup.sh bench     a C compiler and Rust, and what the other clients of the bench need
#
# Crates, Maven artifacts, Go modules and Python packages come later through their own clients.
set -eu

missing=''
need() { # need COMMAND PACKAGE...: the packages are wanted when the command is missing
    command=$1
    shift
    command -v "$command" >/dev/null 2>&1 || missing="$missing $*"
}

need_package() { # for what is no command: a library, a header, a module
    dpkg -s "$1" >/dev/null 2>&1 || missing="$missing $1"
}

# cargo_is_new: whether there is a cargo that can build edition 2024
cargo_is_new() {
    version=$(cargo --version 2>/dev/null | cut -d' ' -f2) || return 1
    [ -n "$version" ] || return 1
    [ "$(printf '1.85.0\n%s\n' "$version" | sort -V | head -n 1)" = 1.85.0 ]
}

wanted_for_demo() {
    need cc gcc libc6-dev
    need_libc_headers
    cargo_is_new || missing="$missing rustc-web cargo-web"
}

need_libc_headers() {
    [ -e /usr/include/stdio.h ] || missing="$missing libc6-dev"
}

wanted_for_check() {
    wanted_for_demo
    need g++ g++
    need nm binutils
    need pkg-config pkg-config
    need ruby ruby
    ruby -e 'require "ffi"' 2>/dev/null || missing="$missing ruby-ffi"
    need go golang-go
    need python3 python3
    python3 -c 'import venv, ensurepip' 2>/dev/null || missing="$missing python3-venv"
    need java default-jre-headless
    need mvn maven
    need kcat kcat
    need javac default-jdk-headless
    need unzip unzip
}

wanted_for_bench() {
    wanted_for_demo
    need go golang-go
    need python3 python3
    python3 -m pip --version >/dev/null 2>&1 || missing="$missing python3-pip"
    need javac default-jdk-headless
    need mvn maven
    need unzip unzip
    need ss iproute2
    need_package librdkafka-dev
    need_package libjemalloc2
}

case ${1:-} in
    demo) wanted_for_demo ;;
    check) wanted_for_check ;;
    bench) wanted_for_bench ;;
    *)
        echo "usage: $0 demo|check|bench" >&2
        exit 2
        ;;
esac

[ -n "$missing" ] || exit 0
missing=$(printf '%s\n' $missing | sort -u | tr '\n' ' ')
if ! command -v apt-get >/dev/null 2>&1; then
    echo "Missing, by the names of Debian's packages: $missing" >&2
    echo "Install them with your system's package manager and try again." >&2
    exit 1
fi
root=''
[ "$(id -u)" = 0 ] || root=sudo
echo "Installing from Debian's packages: $missing"
export DEBIAN_FRONTEND=noninteractive
$root apt-get update -qq
# shellcheck disable=SC2086 # a list of packages
$root apt-get install -y -qq --no-install-recommends $missing >/dev/null
echo "Installed."
