import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.AppInfoParser;

/**
 * The Java client's side of the bench: the same work as bench/samsa.c.
 *
 * <p>Bench produce|consume|idle-producer|idle-consumer [NAME=VALUE]... The first third of the
 * messages is not counted: by then the hot code is compiled.
 */
public final class Bench {
    private static final int KEY = 8;

    /** Records with keys that an idle producer has sent: to every partition. */
    private static final int BEFORE_IDLE = 10_000;

    private final Map<String, String> arguments = new HashMap<>();
    private final String topic;
    private final long count;
    private final int size;

    private Bench(String[] words) {
        for (int i = 1; i < words.length; i++) {
            String[] pair = words[i].split("=", 2);
            arguments.put(pair[0], pair[1]);
        }
        topic = arguments.getOrDefault("topic", "bench");
        count = Long.parseLong(arguments.getOrDefault("count", "1000000"));
        size = Integer.parseInt(arguments.getOrDefault("size", "100"));
    }

    public static void main(String[] words) throws Exception {
        Bench bench = new Bench(words);
        switch (words[0]) {
            case "produce" -> bench.produce();
            case "consume" -> bench.consume();
            case "idle-producer" -> {
                KafkaProducer<byte[], byte[]> producer = bench.producer();
                for (long i = 0; i < BEFORE_IDLE; i++) {
                    producer.send(new ProducerRecord<>(bench.topic, randomKey(i), new byte[100]));
                }
                producer.flush();
                say("");
                waitForEnd();
                producer.close();
            }
            case "idle-consumer" -> {
                try (KafkaConsumer<byte[], byte[]> consumer = bench.consumer()) {
                    say("");
                    // Its application waits for a message that never comes, until it is killed.
                    consumer.poll(Duration.ofDays(1));
                }
            }
            default -> throw new IllegalArgumentException(words[0]);
        }
    }

    private KafkaProducer<byte[], byte[]> producer() throws Exception {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", arguments.get("bootstrap"));
        config.put("acks", "all");
        config.put("linger.ms", 5);
        config.put("batch.size", 1_000_000);
        config.put("compression.type", arguments.getOrDefault("codec", "none"));
        KafkaProducer<byte[], byte[]> producer =
                new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
        // One record connects and makes the topic known.
        producer.send(new ProducerRecord<>(topic, new byte[] {'w'})).get();
        return producer;
    }

    private KafkaConsumer<byte[], byte[]> consumer() {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", arguments.get("bootstrap"));
        config.put("auto.offset.reset", "earliest");
        config.put("enable.auto.commit", false);
        config.put("check.crcs", true);
        config.put("max.poll.records", 1000);
        KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(
                        config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        List<PartitionInfo> partitions = consumer.partitionsFor(topic);
        List<TopicPartition> all =
                partitions.stream().map(p -> new TopicPartition(topic, p.partition())).toList();
        consumer.assign(all);
        consumer.seekToBeginning(all);
        return consumer;
    }

    private void produce() throws Exception {
        byte[] values = Files.readAllBytes(Path.of(arguments.get("payloads")));
        byte[][] ring = new byte[values.length / size][];
        for (int i = 0; i < ring.length; i++) {
            ring[i] = java.util.Arrays.copyOfRange(values, i * size, (i + 1) * size);
        }
        boolean keys = "yes".equals(arguments.get("keys"));
        AtomicLong delivered = new AtomicLong();
        AtomicLong failed = new AtomicLong();
        try (KafkaProducer<byte[], byte[]> producer = producer()) {
            Moment begin = Moment.now();
            for (long i = 0; i < count + count / 2; i++) {
                if (i == count / 2) {
                    begin = Moment.now();
                }
                byte[] key = keys ? randomKey(i) : null;
                producer.send(
                        new ProducerRecord<>(topic, key, ring[(int) (i % ring.length)]),
                        (metadata, error) -> (error == null ? delivered : failed).incrementAndGet());
            }
            producer.flush();
            Moment end = Moment.now();
            if (failed.get() > 0 || delivered.get() != count + count / 2) {
                throw new IllegalStateException("some records failed");
            }
            sayThroughput(count, begin, end);
        }
    }

    private void consume() throws Exception {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer()) {
            Moment begin = null;
            long seen = 0;
            long first = 0;
            long looked = 0;
            while (begin == null || seen < first + count) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofSeconds(1))) {
                    seen++;
                    looked += record.value().length + record.value()[0];
                }
                if (begin == null && seen >= count / 2) {
                    first = seen;
                    begin = Moment.now();
                }
            }
            Moment end = Moment.now();
            if (looked == 0) {
                throw new IllegalStateException("nothing was looked at");
            }
            sayThroughput(seen - first, begin, end);
        }
    }

    private static byte[] randomKey(long i) {
        long x = (i + 1) * 0x9e3779b97f4a7c15L;
        x = (x ^ (x >>> 30)) * 0xbf58476d1ce4e5b9L;
        x = (x ^ (x >>> 27)) * 0x94d049bb133111ebL;
        x ^= x >>> 31;
        byte[] key = new byte[KEY];
        for (int at = 0; at < KEY; at++) {
            key[at] = (byte) (x >>> (8 * at));
        }
        return key;
    }

    /** User and system time of the whole process, and the clock, in nanoseconds. */
    private record Moment(long cpu, long wall) {
        static Moment now() {
            var system =
                    (com.sun.management.OperatingSystemMXBean)
                            ManagementFactory.getOperatingSystemMXBean();
            return new Moment(system.getProcessCpuTime(), System.nanoTime());
        }
    }

    private static void sayThroughput(long count, Moment begin, Moment end) throws Exception {
        double cpu = (double) (end.cpu - begin.cpu) / count;
        double rate = count * 1e9 / (end.wall - begin.wall);
        say(String.format(java.util.Locale.ROOT, ",\"cpu_ns\":%.1f,\"per_second\":%.0f", cpu, rate));
        waitForEnd();
    }

    private static void say(String figures) {
        String version = AppInfoParser.getVersion();
        System.out.println("{\"client\":\"java\",\"version\":\"" + version + "\"" + figures + "}");
        System.out.flush();
    }

    /** Until bench/run.py has seen what it wants. */
    private static void waitForEnd() throws Exception {
        while (System.in.read() >= 0) {}
    }
}
