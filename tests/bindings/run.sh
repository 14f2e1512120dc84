#!/usr/bin/env bash
# Ruby (ffi), Go (cgo) and Python (cffi) load the header and make a round trip on the embedded broker.
#   tests/bindings/run.sh [ruby|go|python]...     all three without arguments
# Needs ruby with ruby-ffi, go, python3 (cffi comes into a virtual environment); fails where one is missing.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD

cargo build --quiet --lib
target=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# A copy: another build may replace the library meanwhile.
cp "$target/debug/libsamsa.so" "$work/"
ln -s libsamsa.so "$work/$(objdump -p "$work/libsamsa.so" | awk '$1 == "SONAME" { print $2 }')"
export SAMSA_LIB=$work/libsamsa.so SAMSA_INCLUDE=$root/include

run_ruby() { timeout 120 ruby tests/bindings/ruby/roundtrip.rb; }
run_python() {
    local python=$target/bindings-python/bin/python
    if ! "$python" -c 'import cffi' 2>/dev/null; then
        python3 -m venv "$target/bindings-python"
        "$python" -m pip install -q cffi
    fi
    timeout 120 "$python" tests/bindings/python/load.py
}
run_go() {
    (cd tests/bindings/go &&
        CGO_ENABLED=1 CGO_CFLAGS="-I$root/include" CGO_LDFLAGS="-L$work -Wl,-rpath,$work" \
            GOFLAGS=-mod=mod go build -o "$work/roundtrip" .)
    timeout 120 "$work/roundtrip"
}

[ $# -gt 0 ] || set -- ruby go python
for language in "$@"; do
    "run_$language"
done
