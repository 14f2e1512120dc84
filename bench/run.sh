#!/bin/sh
# Produce and consume, libsamsa and librdkafka in turn, against the embedded broker in a process of
# its own. Prints the median CPU time per message, messages per second and the ratio; every run goes
# to target/bench/results.jsonl.
#
#   ROUNDS=5 COUNT=2000000 SIZE=100 bench/run.sh
set -eu

rounds=${ROUNDS:-5} count=${COUNT:-2000000} size=${SIZE:-100} partitions=12
out=target/bench
mkdir -p "$out"
cargo build --release --quiet --manifest-path bench/librdkafka/Cargo.toml --target-dir "$out/librdkafka"
${CC:-cc} -std=c11 -O2 -g -Wall -Wextra -Iinclude bench/samsa.c -o "$out/samsa" \
    -Ltarget/release -lsamsa -Wl,-rpath,"$PWD/target/release"

. scripts/embedded.sh
trap stop_embedded EXIT
# Bounded memory: what is consumed is what was produced last, 64 MiB a partition.
start_embedded 1 "num.partitions=$partitions" log.retention.bytes=67108864

: >"$out/results.jsonl"
rdkafka="$out/librdkafka/release/bench-librdkafka"
for round in $(seq "$rounds"); do
    echo "round $round of $rounds" >&2
    {
        "$out/samsa" produce "$address" "samsa-$round" "$count" "$size" send
        "$rdkafka" produce "$address" "rdkafka-$round" "$count" "$size"
        "$out/samsa" produce "$address" "batch-$round" "$count" "$size" send_batch
        "$out/samsa" consume "$address" "samsa-$round" "$count" "$size" poll
        "$rdkafka" consume "$address" "samsa-$round" "$count" "$size"
        "$out/samsa" consume "$address" "samsa-$round" "$count" "$size" next
    } >>"$out/results.jsonl"
done
python3 bench/table.py "$out/results.jsonl"
