import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.GroupSubscription;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.Subscription;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.consumer.RoundRobinAssignor;
import org.apache.kafka.clients.consumer.StickyAssignor;
import org.apache.kafka.common.Cluster;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;

/**
 * Writes groups and what Kafka's own assignors make of them, one JSON object a line. Run it by tests/golden/write-golden.sh:
 * java GoldenAssignors.java COUNT SEED. The output is checked in; tests/assignors.rs reads it.
 */
public final class GoldenAssignors {
    private record Member(
        String id, String instance, String rack, List<String> topics, List<TopicPartition> owned, int generation) {}

    private static final Node[] BROKERS = {
        new Node(0, "b", 1, "ra"), new Node(1, "b", 2, "rb"), new Node(2, "b", 3, "rc"), new Node(3, "b", 4, "ra"),
    };

    public static void main(String[] args) {
        Random random = new Random(Long.parseLong(args[1]));
        for (int i = 0; i < Integer.parseInt(args[0]); i++) {
            write(random);
        }
    }

    private static void write(Random random) {
        boolean alike = random.nextInt(3) > 0;
        boolean racks = random.nextInt(3) == 0;
        int replicas = 1 + random.nextInt(3);
        Map<String, Integer> topics = new TreeMap<>();
        List<PartitionInfo> infos = new ArrayList<>();
        int same = random.nextInt(8);
        for (int t = random.nextInt(4); t >= 0; t--) {
            String topic = "t" + t;
            int partitions = random.nextInt(3) == 0 ? same : random.nextInt(8);
            topics.put(topic, partitions);
            for (int p = 0; p < partitions; p++) {
                Node[] nodes = new Node[replicas];
                int first = random.nextInt(BROKERS.length);
                for (int r = 0; r < replicas; r++) {
                    Node node = BROKERS[(first + r) % BROKERS.length];
                    nodes[r] = racks ? node : new Node(node.id(), node.host(), node.port());
                }
                infos.add(new PartitionInfo(topic, p, nodes[0], nodes, nodes));
            }
        }
        Cluster cluster = new Cluster("c", List.of(BROKERS), infos, Set.of(), Set.of());
        print(topics, infos, members(random, topics, alike, racks), cluster, racks);
    }

    private static List<Member> members(Random random, Map<String, Integer> topics, boolean alike, boolean racks) {
        List<String> all = new ArrayList<>(topics.keySet());
        List<Member> members = new ArrayList<>();
        boolean statics = random.nextInt(3) == 0;
        boolean claims = random.nextInt(2) == 0;
        boolean clean = random.nextInt(2) == 0;
        Set<TopicPartition> taken = new TreeSet<>((a, b) -> a.toString().compareTo(b.toString()));
        int count = 1 + random.nextInt(random.nextInt(4) == 0 ? 30 : 6);
        for (int m = 0; m < count; m++) {
            List<String> own = new ArrayList<>();
            for (String topic : all) {
                if (alike || random.nextInt(3) > 0) {
                    own.add(topic);
                }
            }
            List<TopicPartition> owned = new ArrayList<>();
            for (String topic : own) {
                for (int p = 0; claims && p < topics.get(topic) + 1; p++) {
                    TopicPartition partition = new TopicPartition(topic, p);
                    if (random.nextInt(3) == 0 && (!clean || taken.add(partition))) {
                        owned.add(partition);
                    }
                }
            }
            String instance = statics && random.nextBoolean() ? "i" + random.nextInt(1000) + "-" + m : null;
            String rack = racks && random.nextInt(6) > 0 ? "r" + "abcd".charAt(random.nextInt(4)) : null;
            String id = "consumer-" + random.nextInt(100) + "-" + Integer.toHexString(random.nextInt()) + m;
            members.add(new Member(id, instance, rack, own, owned, claims ? (clean ? 5 : 4 + random.nextInt(2)) : -1));
        }
        return members;
    }

    private static void print(
            Map<String, Integer> topics, List<PartitionInfo> infos, List<Member> members, Cluster cluster, boolean racks) {
        StringBuilder out = new StringBuilder("{\"topics\":{");
        String comma = "";
        for (String topic : topics.keySet()) {
            out.append(comma).append('"').append(topic).append("\":[");
            comma = "";
            for (PartitionInfo info : infos) {
                if (info.topic().equals(topic)) {
                    Set<String> of = new TreeSet<>();
                    for (Node node : info.replicas()) {
                        if (node.rack() != null) {
                            of.add('"' + node.rack() + '"');
                        }
                    }
                    out.append(comma).append('[').append(String.join(",", of)).append(']');
                    comma = ",";
                }
            }
            out.append(']');
            comma = ",";
        }
        out.append("},\"members\":[");
        comma = "";
        for (Member member : members) {
            out.append(comma).append("{\"id\":\"").append(member.id).append("\",\"instance\":").append(text(member.instance))
                .append(",\"rack\":").append(text(member.rack)).append(",\"topics\":[");
            comma = "";
            for (String topic : member.topics) {
                out.append(comma).append('"').append(topic).append('"');
                comma = ",";
            }
            out.append("],\"owned\":").append(places(member.owned)).append(",\"generation\":").append(member.generation).append('}');
            comma = ",";
        }
        out.append(']');
        append(out, "range", new RangeAssignor(), members, cluster, false);
        append(out, "roundrobin", new RoundRobinAssignor(), members, cluster, false);
        append(out, "sticky", new StickyAssignor(), members, cluster, true);
        append(out, "cooperative", new CooperativeStickyAssignor(), members, cluster, false);
        System.out.println(out.append('}'));
    }

    private static void append(
            StringBuilder out, String name, ConsumerPartitionAssignor assignor, List<Member> members, Cluster cluster,
            boolean userData) {
        Map<String, Subscription> subscriptions = new TreeMap<>();
        for (Member member : members) {
            Subscription subscription = new Subscription(
                member.topics, userData ? userData(member) : coop(member), member.owned, member.generation, Optional.ofNullable(member.rack));
            subscription.setGroupInstanceId(Optional.ofNullable(member.instance));
            subscriptions.put(member.id, subscription);
        }
        Map<String, ConsumerPartitionAssignor.Assignment> result;
        out.append(",\"").append(name).append("\":");
        try {
            result = assignor.assign(cluster, new GroupSubscription(new HashMap<>(subscriptions))).groupAssignment();
        } catch (IllegalStateException e) {
            // Claims that contradict one another are too much for Java's own sticky assignors.
            out.append("null");
            return;
        }
        out.append('{');
        String comma = "";
        for (Member member : members) {
            out.append(comma).append('"').append(member.id).append("\":").append(places(result.get(member.id).partitions()));
            comma = ",";
        }
        out.append('}');
    }

    private static ByteBuffer coop(Member member) {
        return ByteBuffer.allocate(4).putInt(0, member.generation);
    }

    /** What StickyAssignor keeps of its last assignment: partitions by topic, and the generation. */
    private static ByteBuffer userData(Member member) {
        ByteBuffer out = ByteBuffer.allocate(64 * 1024);
        out.putInt(member.owned.size());
        for (TopicPartition partition : member.owned) {
            byte[] topic = partition.topic().getBytes(StandardCharsets.UTF_8);
            out.putShort((short) topic.length).put(topic).putInt(1).putInt(partition.partition());
        }
        return out.putInt(member.generation).flip();
    }

    private static String text(String text) {
        return text == null ? "null" : '"' + text + '"';
    }

    private static String places(List<TopicPartition> partitions) {
        List<String> sorted = new ArrayList<>();
        partitions.stream()
            .sorted((a, b) -> a.topic().equals(b.topic()) ? a.partition() - b.partition() : a.topic().compareTo(b.topic()))
            .forEach(p -> sorted.add("[\"" + p.topic() + "\"," + p.partition() + ']'));
        return '[' + String.join(",", sorted) + ']';
    }
}
