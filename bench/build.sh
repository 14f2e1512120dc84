#!/bin/sh
# Builds what the bench runs, into target/bench: the null broker, the client programs, the values to
# send. What a machine lacks is left out, and said: bench/run.py goes on without it.
#
#   bench/build.sh           everything
#   bench/build.sh --lint    the programs in C, Go and Java are only checked
set -eu

cd "$(dirname "$0")/.."
out=target/bench
warnings='-std=c11 -Wall -Wextra -Wpedantic -Werror'
mkdir -p "$out"

missing() {
    echo "bench: without $1: $2" >&2
}

# The newest librdkafka that a registry has built: the one inside Confluent's Python package.
librdkafka_wheel=confluent-kafka==2.16.1
fetch_librdkafka() {
    [ ! -e "$out/librdkafka/librdkafka.so" ] || return 0
    rm -rf "$out/wheel"
    python3 -m pip download --quiet --no-deps --dest "$out/wheel" "$librdkafka_wheel" || return 1
    unzip -qo "$out"/wheel/*.whl 'confluent_kafka.libs/*' -d "$out/wheel" || return 1
    mkdir -p "$out/librdkafka"
    cp "$out"/wheel/confluent_kafka.libs/*.so* "$out/librdkafka/"
    ln -sf "$(basename "$out"/librdkafka/librdkafka-*.so.1)" "$out/librdkafka/librdkafka.so"
    rm -rf "$out/wheel"
}

build_librdkafka() {
    if [ ! -e /usr/include/librdkafka/rdkafka.h ]; then
        missing librdkafka 'its header is not there (Debian: librdkafka-dev)'
        return
    fi
    library=$PWD/$out/librdkafka
    fetch_librdkafka || missing 'the newest librdkafka' "no $librdkafka_wheel; the system's is used"
    # shellcheck disable=SC2086 # a list of flags
    ${CC:-cc} $warnings -O2 -g bench/librdkafka.c -o "$out/client-librdkafka" \
        -L"$library" -lrdkafka -Wl,-rpath,"$library"
    # shellcheck disable=SC2086
    ${CC:-cc} $warnings -O2 -g bench/group-librdkafka.c -o "$out/group-librdkafka" -pthread \
        -L"$library" -lrdkafka -Wl,-rpath,"$library"
}

build_samsa() {
    # shellcheck disable=SC2086
    ${CC:-cc} $warnings -O2 -g -Iinclude bench/samsa.c -o "$out/client-samsa" \
        -Ltarget/release -lsamsa -Wl,-rpath,"$PWD/target/release"
    # shellcheck disable=SC2086
    ${CC:-cc} $warnings -O2 -g -Iinclude bench/group-samsa.c -o "$out/group-samsa" -pthread \
        -Ltarget/release -lsamsa -Wl,-rpath,"$PWD/target/release"
    # shellcheck disable=SC2086
    ${CC:-cc} $warnings -O2 -g -Iinclude bench/legacy.c -o "$out/legacy" \
        -Ltarget/release -lsamsa -Wl,-rpath,"$PWD/target/release"
}

build_franz_go() {
    if ! command -v go >/dev/null; then
        missing franz-go 'no go'
        return
    fi
    (cd bench/franz-go && go build -o "../../$out/client-franz-go" .) || missing franz-go 'go build failed'
}

jar() {
    printf 'target/kafka-clients/jars/%s.jar' "$1"
}
java_classes=$(jar kafka-clients-4.3.1):$(jar slf4j-api-1.7.36):$(jar lz4-java-1.10.2):$(jar zstd-jni-1.5.6-10)
build_java() {
    rm -rf "$out/java"
    if ! command -v javac >/dev/null || ! command -v mvn >/dev/null; then
        missing java 'no javac or no mvn'
        return
    fi
    tests/golden/fetch-clients.sh >/dev/null || { missing java 'its jars did not come'; return; }
    mkdir -p "$out/java"
    javac -Xlint:all -Werror -d "$out/java" -cp "$java_classes" bench/java/Bench.java
    echo "$java_classes:$out/java" >"$out/java/class-path"
}

lint() {
    # shellcheck disable=SC2086
    ${CC:-cc} $warnings -Iinclude -fsyntax-only bench/samsa.c bench/group-samsa.c bench/legacy.c
    # shellcheck disable=SC2086
    [ ! -e /usr/include/librdkafka/rdkafka.h ] || ${CC:-cc} $warnings -fsyntax-only bench/librdkafka.c \
        bench/group-librdkafka.c
    ! command -v go >/dev/null || (cd bench/franz-go && go vet ./... && [ -z "$(gofmt -l .)" ])
    bench/null-broker --lint
    python3 -m py_compile bench/*.py
}

if [ "${1:-}" = --lint ]; then
    lint
    exit
fi
for size in 100 1000; do
    bench/null-broker payloads $((4000000 / size)) "$size" >"$out/payloads-$size"
done
build_samsa
build_librdkafka
build_franz_go
build_java
