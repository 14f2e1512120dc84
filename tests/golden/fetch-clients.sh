#!/usr/bin/env bash
# Fetches Kafka's own message definitions, to hold ours against (tests/protocol_schema.rs), and the
# jars with which GoldenMessages.java and GoldenRecords.java write the golden bytes and read ours.
#
#   fetch-clients.sh            -> target/kafka-clients/<version>/*.json, target/kafka-clients/jars/*.jar
#
# 3.9.2 has the versions that 4.0 removed, 4.3.1 is the newest. Everything comes by its Maven
# coordinates; what is already there is not fetched again.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
out=$root/target/kafka-clients
jars=$out/jars
mkdir -p "$jars"

# Everything is made in a directory of its own and moved into place, so that what is there is whole,
# whoever else runs this at the same time.
part=$(mktemp -d "$out/part.XXXXXX")
trap 'rm -rf "$part"' EXIT

fetch() {
    local artifact=$1 version=$2
    [ -f "$jars/${artifact##*:}-$version.jar" ] && return
    mvn --quiet --batch-mode -Dstyle.color=never dependency:copy \
        -Dartifact="$artifact:$version" -DoutputDirectory="$part/jars"
    mv "$part"/jars/*.jar "$jars"
}

for version in 3.9.2 4.3.1; do
    fetch org.apache.kafka:kafka-clients "$version"
    [ -d "$out/$version" ] && continue
    unzip -q -j "$jars/kafka-clients-$version.jar" 'common/message/*.json' -d "$part/$version"
    [ -d "$out/$version" ] || mv "$part/$version" "$out"
done

# What the classes in the jar need to run.
fetch com.fasterxml.jackson.core:jackson-databind 2.16.2
fetch com.fasterxml.jackson.core:jackson-core 2.16.2
fetch com.fasterxml.jackson.core:jackson-annotations 2.16.2
fetch org.slf4j:slf4j-api 1.7.36

# The codecs that the record classes call.
fetch at.yawk.lz4:lz4-java 1.10.2
fetch org.xerial.snappy:snappy-java 1.1.10.7
fetch com.github.luben:zstd-jni 1.5.6-10
