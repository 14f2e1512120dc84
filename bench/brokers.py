"""The brokers that the clients are measured against, each in a process of its own."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

OUT = pathlib.Path("target/bench")
KAFKA = "4.3.1"
POM = f"""<project><modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId><artifactId>kafka-jars</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId>
      <version>{KAFKA}</version></dependency>
  </dependencies>
</project>
"""


class NullBrokers:
    """One null broker for each set of options, started when it is first wanted."""

    def __init__(self):
        self.started = {}

    def address(self, options):
        if options not in self.started:
            command = [OUT / "broker/release/null-broker", *options, "--until-stdin-closes", "yes"]
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            self.started[options] = (process, process.stdout.readline().strip())
        return self.started[options][1]

    def stop(self):
        """Ends them; gives the CPU time per message of each that had much to do."""
        costs = []
        for options, (process, _) in self.started.items():
            _, said = process.communicate(timeout=30)
            costs.append(f"{' '.join(options) or 'default'}: {said.strip()}")
        return costs


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Kafka:
    """One real broker, KRaft, on the loopback address; its folder goes with it."""

    def __init__(self):
        self.folder = OUT / "kafka"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.port, self.process = free_port(), None
        self.classes = f"{fetch_kafka()}/*"
        self._configure(free_port())
        self._run_tool("kafka.tools.StorageTool", "format", "-t", "bench", "-c", self.folder / "server.properties")
        self.process = subprocess.Popen(
            self._java("kafka.Kafka", self.folder / "server.properties"),
            stdin=subprocess.DEVNULL,
            stdout=open(self.folder / "out", "w", encoding="utf-8"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._wait()

    def _configure(self, controller):
        properties = {
            "process.roles": "broker,controller",
            "node.id": 0,
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "controller.quorum.voters": f"0@127.0.0.1:{controller}",
            "log.dirs": (self.folder / "data").absolute(),
            "num.partitions": 12,
            "offsets.topic.replication.factor": 1,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "log.cleaner.dedupe.buffer.size": 4194304,
            # What is written is dropped soon: the disk need not hold every round.
            "log.retention.bytes": 67108864,
            "log.segment.bytes": 16777216,
            "log.retention.check.interval.ms": 5000,
            "log.segment.delete.delay.ms": 1000,
        }
        lines = [f"{name}={value}\n" for name, value in properties.items()]
        (self.folder / "server.properties").write_text("".join(lines), encoding="utf-8")

    def _java(self, *arguments):
        return ["java", "-Xms1g", "-Xmx1g", "-XX:+UseG1GC", "-cp", self.classes, *arguments]

    def _run_tool(self, *arguments):
        with open(self.folder / "tool", "w", encoding="utf-8") as log:
            subprocess.run(self._java(*arguments), check=True, stdout=log, stderr=subprocess.STDOUT)

    def _wait(self):
        """Until it accepts connections: clients ask again until it also knows its topics."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.2)
        raise RuntimeError(f"Kafka did not start: see {self.folder}/out")

    def address(self, _options):
        return f"127.0.0.1:{self.port}"

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def fetch_kafka():
    """The folder with the broker's jars: that of the broker tests, or one of our own."""
    tested = pathlib.Path("target/brokers") / KAFKA
    if (tested / "done").exists():
        return tested / "lib"
    folder = OUT / f"kafka-{KAFKA}"
    if not (folder / "done").exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "pom.xml").write_text(POM, encoding="utf-8")
        command = ["mvn", "-B", "-q", "dependency:copy-dependencies", "-DincludeScope=runtime"]
        command += ["-DoutputDirectory=lib"]
        subprocess.run(command, cwd=folder, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        (folder / "done").touch()
    return folder / "lib"
