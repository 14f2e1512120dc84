#!/usr/bin/env bash
# Fetches the jars that GoldenRecords.java runs with, by their Maven coordinates: kafka-clients of
# both versions and the codecs that each names in its pom. What is already there is not fetched.
#
#   fetch-codecs.sh             -> target/kafka-clients/jars/*.jar
set -euo pipefail

jars=$(cd "$(dirname "$0")/../.." && pwd)/target/kafka-clients/jars
mkdir -p "$jars"

fetch() {
    local artifact=$1 version=$2
    [ -f "$jars/${artifact##*:}-$version.jar" ] && return
    mvn --quiet --batch-mode dependency:copy \
        -Dartifact="$artifact:$version" -DoutputDirectory="$jars"
}

fetch org.apache.kafka:kafka-clients 3.9.2
fetch org.apache.kafka:kafka-clients 4.3.1
fetch at.yawk.lz4:lz4-java 1.10.2
fetch org.xerial.snappy:snappy-java 1.1.10.7
fetch com.github.luben:zstd-jni 1.5.6-10
fetch org.slf4j:slf4j-api 1.7.36
