#!/usr/bin/env bash
# The tests in C and C++ against the shared library.
#   tests/c/run.sh            headers, layout, symbols, abuse, endings, callbacks, fork, SIGPIPE, panics
#   tests/c/run.sh --asan     the same programs with library and programs under AddressSanitizer
#   tests/c/run.sh --valgrind the programs about groups under memcheck (needs valgrind; by hand)
# Needs gcc, g++, nm, python3. Everything it makes is in a folder that it removes.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
asan= memcheck=
case "${1-}" in
"") ;;
--asan) asan=1 ;;
--valgrind) memcheck=1 ;;
*) echo "usage: $0 [--asan | --valgrind]" >&2; exit 2 ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
target=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')

# Builds the library with these features and copies it: the next build replaces it.
build() {
    local to=$1 features=$2
    mkdir -p "$work/$to"
    if [ -n "$asan" ]; then
        # The stable compiler's own runtime stays out: the program brings gcc's.
        RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address -Cforce-frame-pointers=yes" \
            CFLAGS_x86_64_unknown_linux_gnu="-fsanitize=address -g" \
            cargo build --quiet --lib --features "$features" \
            --target x86_64-unknown-linux-gnu --target-dir "$target/asan"
        cp "$target/asan/x86_64-unknown-linux-gnu/debug/libsamsa.so" "$work/$to/"
    else
        cargo build --quiet --lib --features "$features"
        cp "$target/debug/libsamsa.so" "$work/$to/"
    fi
    ln -s libsamsa.so "$work/$to/$(objdump -p "$work/$to/libsamsa.so" | awk '$1 == "SONAME" { print $2 }')"
}

c_flags=(-std=c11 -Wall -Wextra -Wpedantic -Werror -g -O1 -I"$root/include" -I"$root/tests/c" -I"$work")
cpp_flags=(-std=c++17 -Wall -Wextra -Wpedantic -Werror -g -O1 -I"$root/include")
[ -z "$asan" ] || { c_flags+=(-fsanitize=address); cpp_flags+=(-fsanitize=address); }

link() {
    local program=$1 library=$2
    gcc "${c_flags[@]}" "tests/c/$program.c" -o "$work/$program" \
        -L"$work/$library" -Wl,-rpath,"$work/$library" -lsamsa -pthread
}
run() {
    # RUST_BACKTRACE=0: a forced panic needs no trace. The standard library's own message stays.
    RUST_BACKTRACE=0 ASAN_OPTIONS=${ASAN_OPTIONS-} timeout 180 "$work/$1"
}

build plain embedded
if [ -n "$memcheck" ]; then
    # The I/O threads outlive the program by design: what they hold is neither lost nor freed.
    for program in groups group_faults; do
        link "$program" plain
        timeout 600 valgrind --quiet --leak-check=full --show-leak-kinds=definite \
            --errors-for-leak-kinds=definite --error-exitcode=9 "$work/$program"
    done
    exit 0
fi
nm -D --defined-only "$work/plain/libsamsa.so" | awk '{ print $3 }' >"$work/symbols"
if [ -n "$asan" ]; then
    # Proof that the sanitizer is there: the library calls it, and a planted error is found.
    nm -D --undefined-only "$work/plain/libsamsa.so" >"$work/undefined"
    grep -q ' __asan_report_' "$work/undefined" ||
        { echo "the library was built without AddressSanitizer" >&2; exit 1; }
    link use_after_free plain
    if ASAN_OPTIONS=detect_leaks=0 timeout 60 "$work/use_after_free" >"$work/planted" 2>&1 ||
        ! grep -q 'AddressSanitizer: heap-use-after-free' "$work/planted"; then
        echo "AddressSanitizer did not find the planted error" >&2
        exit 1
    fi
    echo "asan: linked in, finds a planted error: ok"
else
    if grep -v '^samsa_' "$work/symbols"; then
        echo "symbols that are not ours are exported" >&2
        exit 1
    fi
    echo "symbols: $(wc -l <"$work/symbols") exported, all samsa_: ok"
fi
grep '^samsa_' "$work/symbols" >"$work/exported"
python3 tests/c/abuse.py include "$work/exported" >"$work/abuse_cases.h"

gcc "${c_flags[@]}" -fsyntax-only tests/c/header.c
g++ "${cpp_flags[@]}" tests/c/header.cpp -o "$work/header" -L"$work/plain" -Wl,-rpath,"$work/plain" -lsamsa
g++ "${cpp_flags[@]}" tests/c/roundtrip.cpp -o "$work/roundtrip" -L"$work/plain" \
    -Wl,-rpath,"$work/plain" -lsamsa
gcc "${c_flags[@]}" -fsyntax-only tests/c/layout.c
g++ "${cpp_flags[@]}" -fsyntax-only -x c++ tests/c/layout.c
echo "headers: C11 and C++17 without a warning, sizes and offsets: ok"

# LeakSanitizer reports what only the vanished threads of a forked child held.
leaks=detect_leaks=0
for program in abuse structs endings callbacks waiting producing faults groups group_faults; do
    link "$program" plain
    run "$program"
done
run roundtrip
for program in fork sigpipe; do
    link "$program" plain
    ASAN_OPTIONS=$leaks run "$program"
done
build injected embedded,panic-injection
link panics injected
# A handle that a panic broke may leak what its tasks held.
ASAN_OPTIONS=$leaks run panics 2>"$work/panic-messages" || { cat "$work/panic-messages" >&2; exit 1; }
