#!/bin/sh
# Installs into an empty folder and uses the library as a stranger would: pkg-config, shared and
# static linking, C and C++, with the names and links that a system library has.
set -eu

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT INT TERM
prefix=/opt/samsa
lib=$root$prefix/lib
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)

fail() {
    echo "FAILED: $1" >&2
    exit 1
}

passed=0
expect() { # expect WHAT ACTUAL WANTED
    [ "$2" = "$3" ] || fail "$1: got '$2', wanted '$3'"
    passed=$((passed + 1))
}

make --no-print-directory -s install DESTDIR="$root" PREFIX=$prefix

soname=$(readelf -d "$lib/libsamsa.so" | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')
expect 'the soname' "$soname" libsamsa.so.0
readelf -d "$lib/libsamsa.so" | grep -q NODELETE || fail 'the library can be unmapped under its threads'
expect 'the link for the linker' "$(readlink "$lib/libsamsa.so")" libsamsa.so.0
expect 'the link for the loader' "$(readlink "$lib/libsamsa.so.0")" "libsamsa.so.$version"

# Who gets the library gets the licences of what is in it.
doc=$root$prefix/share/doc/libsamsa
cmp -s LICENSE "$doc/LICENSE" || fail 'LICENSE is not installed'
linked=$(cargo tree --locked -e normal,no-proc-macro --prefix none --no-dedupe -f '{p}' |
    sed -n 's/^\([^ ]*\) v\([^ ]*\).*/\1 \2/p' | grep -v '^libsamsa ' | sort -u)
expect 'crates that NOTICES.txt does not name (make notices)' \
    "$(echo "$linked" | grep -vxFf "$doc/NOTICES.txt" || true)" ''
for library in zstd lz4; do
    grep -q "^$library, the C library in " "$doc/NOTICES.txt" || fail "no notice of $library"
done

export PKG_CONFIG_PATH="$lib/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$root"
expect 'the version in samsa.pc' "$(pkg-config --modversion samsa)" "$version"
flags=$(pkg-config --cflags --libs samsa)
static_flags=$(pkg-config --cflags --static --libs samsa)

# shellcheck disable=SC2086 # a list of flags
cc -std=c11 -Wall -Wextra -Wpedantic -Werror examples-c/quickstart.c -o "$root/shared" $flags -Wl,-rpath,"$lib"
expect 'a shared program needs the soname' \
    "$(readelf -d "$root/shared" | grep -c 'NEEDED.*libsamsa.so.0')" 1

# The static library is one object: it brings nothing but our functions.
others=$(nm -g --defined-only "$lib/libsamsa.a" 2>/dev/null | awk 'NF == 3 { print $3 }' | grep -cv '^samsa_' || true)
expect 'foreign symbols in libsamsa.a' "$others" 0
rm "$lib/libsamsa.so" "$lib/libsamsa.so.0"
# shellcheck disable=SC2086
cc -std=c11 examples-c/quickstart.c -o "$root/static" $static_flags
ln -s "libsamsa.so.$version" "$lib/libsamsa.so.0"

printf '#include <samsa.hpp>\nint main() { return samsa_version() == nullptr; }\n' >"$root/plain.cpp"
# shellcheck disable=SC2086
c++ -std=c++17 -Wall -Wextra -Wpedantic -Werror "$root/plain.cpp" -o "$root/plain" $static_flags
"$root/plain" || fail 'the C++ program'
passed=$((passed + 1))

# Both programs do the same on a broker: the quickstart publishes and reads back.
. scripts/embedded.sh
trap 'stop_embedded; rm -rf "$root"' EXIT
start_embedded 1
for kind in shared static; do
    "$root/$kind" "$address" >"$root/said" || fail "the $kind program: $(cat "$root/said")"
    passed=$((passed + 1))
done

# The example programs count, and commit, nothing that they could not do.
programs=target/examples-c
at=bootstrap.servers=$address
said=$(printf 'key\tvalue\nvalue\n' | "$programs/produce" counted "$at" samsa.delivery.report=failures)
expect 'what produce counts where only failures are told' "$said" '2 of 2 acknowledged'
! "$programs/produce" counted "$at" </ >"$root/said" 2>&1 || fail 'produce takes a torn input for its end'
! timeout 60 "$programs/consume" -n 2 -g full counted "$at" >/dev/full 2>"$root/said" ||
    fail 'consume prints to a full device'
expect 'messages left by a consume that could not print' \
    "$(timeout 60 "$programs/consume" -n 2 -g full counted "$at" 2>"$root/said" | wc -l)" 2
# A reader that goes away ends it, with what was read committed; the records are more than a pipe holds.
seq 20000 | sed 's/$/ and so on/' | "$programs/produce" piped "$at" >"$root/said"
{
    timeout 60 "$programs/consume" -g piped piped "$at" 2>"$root/said" && status=0 || status=$?
    echo $status >"$root/status"
} | head -n 1 >"$root/read"
expect 'the status of a consume whose reader went away' "$(cat "$root/status")" 1
seq 20001 20002 | "$programs/produce" piped "$at" >"$root/said"
timeout 60 "$programs/consume" -n 1 -g piped piped "$at" >"$root/read" 2>"$root/said" ||
    fail "consume after the one whose reader went away: $(cat "$root/said")"
[ "$(cut -f 2 "$root/read")" -gt 0 ] || fail 'what was read before the reader went away was not committed'
passed=$((passed + 1))
timeout 120 "$programs/throughput" late "$at" auto.offset.reset=latest >"$root/said" 2>&1 && status=0 || status=$?
expect 'the status of a throughput that has nothing to read' $status 1

make --no-print-directory -s uninstall DESTDIR="$root" PREFIX=$prefix
expect 'files left after uninstall' "$(find "$root$prefix" ! -type d | wc -l)" 0

# The README shows the quickstart as it is compiled here.
awk '/^```c$/ { inside = 1; next } /^```$/ { inside = 0 } inside' README.md >"$root/readme.c"
cmp -s "$root/readme.c" examples-c/quickstart.c || fail 'README.md and examples-c/quickstart.c differ'
passed=$((passed + 1))

echo "test result: ok. $passed passed; 0 failed (install)"
