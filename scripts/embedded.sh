# Sourced by scripts that need a Kafka broker: one that is embedded in a process of its own.
#
#   start_embedded BROKERS [NAME=VALUE]...   starts it and sets $address, its bootstrap list
#   start_embedded legacy BROKERS PARTITIONS Kafka 0.7: $address is that of its ZooKeeper
#   stop_embedded                            ends it; for the script's own EXIT trap

start_embedded() {
    embedded_work=$(mktemp -d)
    mkfifo "$embedded_work/stop"
    # The broker runs until its standard input closes; it prints its address.
    target/examples-c/embedded "$@" <"$embedded_work/stop" >"$embedded_work/address" &
    embedded=$!
    exec 3>"$embedded_work/stop"
    for _ in $(seq 100); do
        [ -s "$embedded_work/address" ] && break
        sleep 0.1
    done
    address=$(cat "$embedded_work/address")
    [ -n "$address" ] || {
        echo "the embedded broker did not start" >&2
        return 1
    }
}

stop_embedded() {
    exec 3>&-
    [ -z "${embedded-}" ] || wait "$embedded" || true
    rm -rf "${embedded_work-}"
}
