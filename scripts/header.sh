#!/usr/bin/env bash
# Generates include/samsa.h, include/samsa_testing.h and include/samsa_constants.txt from src/ffi.
#   scripts/header.sh           writes them
#   scripts/header.sh --check   fails and shows the difference if they are not up to date
set -euo pipefail
cd "$(dirname "$0")/.."

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
SAMSA_HEADER_DIR=$out cargo check --quiet --lib --features header

case "${1-}" in
--check)
    status=0
    for name in samsa.h samsa_testing.h samsa_constants.txt; do
        diff -u "include/$name" "$out/$name" || status=1
    done
    if [ "$status" != 0 ]; then
        echo "the headers in include/ are not what src/ffi says: run scripts/header.sh" >&2
    fi
    exit "$status"
    ;;
"")
    mkdir -p include
    cp "$out"/samsa.h "$out"/samsa_testing.h "$out"/samsa_constants.txt include/
    ;;
*)
    echo "usage: $0 [--check]" >&2
    exit 2
    ;;
esac
