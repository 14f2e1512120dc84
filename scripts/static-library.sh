#!/bin/sh
# Makes the static library small and polite: one object that defines the functions of our headers
# and nothing else. Rust's own archive is large and exports every symbol of every crate and of
# zstd, which could clash with the host program's own.
#
#   scripts/static-library.sh RUST_ARCHIVE HEADER... OUTPUT
set -eu

archive=$1
shift
headers='' output=''
while [ $# -gt 1 ]; do
    headers="$headers $1"
    shift
done
output=$1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
mkdir -p "$(dirname "$output")"

# shellcheck disable=SC2086 # a list of files
functions=$(cat $headers | grep -oE '\bsamsa_[a-z0-9_]+\(' | tr -d '(' | sort -u)
defined=$(nm --defined-only -g "$archive" 2>/dev/null | awk '$2 == "T" { print $3 }' | sort -u)
roots=''
for function in $functions; do
    if printf '%s\n' "$defined" | grep -qx "$function"; then
        roots="$roots -u $function"
        echo "$function" >>"$work/keep"
    fi
done
# shellcheck disable=SC2086 # a list of options
ld -r $roots --gc-sections -o "$work/all.o" "$archive"
# Rust's standard library brings LLVM bitcode along; an ar with LLVM's plugin would read that instead
# of the code, fail, and write an archive without symbols.
objcopy --keep-global-symbols="$work/keep" --remove-section=.llvmbc --remove-section=.llvmcmd \
    "$work/all.o" "$work/samsa.o"
strip --strip-unneeded "$work/samsa.o"
rm -f "$output"
ar rc "$output" "$work/samsa.o"
ranlib "$output"
nm "$output" 2>/dev/null | grep -q ' T samsa_' || {
    echo "$output has no symbols: is an LLVM plugin in the way of ar?" >&2
    exit 1
}
