import java.nio.charset.StandardCharsets;
import java.util.Properties;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Writes transactions that commit, abort, interleave and stay open into partition 0 of a topic, with
 * the client of any release from 0.11 on. Says "open" and waits for a byte, then commits the last one.
 *
 * usage: java Transactions.java BOOTSTRAP TOPIC CODEC
 */
public class Transactions {
    private final String topic;

    private Transactions(String topic) {
        this.topic = topic;
    }

    public static void main(String[] arguments) throws Exception {
        String bootstrap = arguments[0];
        String topic = arguments[1];
        String codec = arguments[2];
        try (KafkaProducer<byte[], byte[]> one = producer(bootstrap, codec, "one-" + topic);
                KafkaProducer<byte[], byte[]> two = producer(bootstrap, codec, "two-" + topic);
                KafkaProducer<byte[], byte[]> plain = producer(bootstrap, codec, null)) {
            one.initTransactions();
            two.initTransactions();
            new Transactions(topic).write(one, two, plain);
        }
    }

    private static KafkaProducer<byte[], byte[]> producer(String bootstrap, String codec, String id) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("compression.type", codec);
        properties.put("acks", "all");
        if (id != null) {
            properties.put("transactional.id", id);
        }
        return new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer());
    }

    private void write(
            KafkaProducer<byte[], byte[]> one,
            KafkaProducer<byte[], byte[]> two,
            KafkaProducer<byte[], byte[]> plain)
            throws Exception {
        // Two transactions through each other, one kept and one not, and a record of neither.
        one.beginTransaction();
        two.beginTransaction();
        send(one, "kept", 0, 5);
        send(two, "dropped", 0, 5);
        send(one, "kept", 5, 10);
        send(plain, "plain", 0, 1);
        send(two, "dropped", 5, 7);
        one.commitTransaction();
        two.abortTransaction();
        // Each of them once more, the other way round.
        two.beginTransaction();
        send(two, "kept", 10, 15);
        two.commitTransaction();
        one.beginTransaction();
        send(one, "dropped", 7, 12);
        one.abortTransaction();
        // A transaction without an end, and a record behind it.
        one.beginTransaction();
        send(one, "late", 0, 5);
        send(plain, "behind", 0, 1);
        System.out.println("open");
        System.out.flush();
        System.in.read();
        one.commitTransaction();
    }

    private void send(KafkaProducer<byte[], byte[]> producer, String what, int from, int to) {
        for (int i = from; i < to; i++) {
            byte[] value = (what + " " + i).getBytes(StandardCharsets.UTF_8);
            producer.send(new ProducerRecord<>(topic, 0, null, value));
        }
        producer.flush();
    }
}
