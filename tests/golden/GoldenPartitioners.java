// Kafka's own partitioners as the witness of ours: prints what they choose.
//
//   key <name> <key in hex> <partition for each count in the line "counts">
//   load <queue lengths> <their partitions> uniform | <table>
//   draw <random number> <queue lengths> <their partitions> <partition>
//   turns <available partitions> of <count> <partition for each record in turn>
//
// It stands in Kafka's package because a draw can be fixed only there. golden-partitioners.sh runs it.

package org.apache.kafka.clients.producer.internals;

import java.lang.reflect.Field;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.producer.RoundRobinPartitioner;
import org.apache.kafka.common.Cluster;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.utils.LogContext;

public class GoldenPartitioners {
    static final int[] COUNTS = {1, 2, 3, 7, 12, 50, 1000};
    static final String TOPIC = "orders";

    static class Fixed extends BuiltInPartitioner {
        int random;

        Fixed() {
            super(new LogContext(), TOPIC, 1);
        }

        @Override
        int randomPartition() {
            return random;
        }
    }

    public static void main(String[] args) throws Exception {
        System.out.println("counts " + join(COUNTS));
        for (String key : args[0].split(",")) {
            byte[] bytes = HexFormat.of().parseHex(key.substring(1));
            int[] chosen = Arrays.stream(COUNTS)
                .map(count -> BuiltInPartitioner.partitionForKey(bytes, count)).toArray();
            System.out.println("key default " + key + " " + join(chosen));
        }
        int[][] lengths = {
            {0, 3, 1}, {5, 5, 5}, {0, 0, 0, 1}, {10, 0, 10, 0, 10}, {1, 2, 3, 4, 5, 6, 7, 8},
            {1000, 0}, {7}, {0, 0},
        };
        for (int[] queues : lengths) {
            int[] all = IntStream.range(0, queues.length).toArray();
            load(queues, all, queues.length);
            // One partition of more is left out, as the availability time-out does.
            int[] some = IntStream.range(1, queues.length + 1).toArray();
            load(queues, some, queues.length + 1);
        }
        turns(new int[] {0, 1, 2, 3}, 4);
        turns(new int[] {1, 4}, 5);
        turns(new int[] {}, 3);
    }

    /** queues are the lengths of so many of count partitions. */
    static void load(int[] queues, int[] partitions, int count) throws Exception {
        Fixed partitioner = new Fixed();
        partitioner.updatePartitionLoadStats(
            Arrays.copyOf(queues, count), Arrays.copyOf(partitions, count), queues.length);
        String given = join(queues, ",") + " " + join(partitions, ",") + " of " + count;
        Field field = BuiltInPartitioner.class.getDeclaredField("partitionLoadStats");
        field.setAccessible(true);
        Object stats = field.get(partitioner);
        if (stats == null) {
            System.out.println("load " + given + " uniform");
            return;
        }
        Field table = stats.getClass().getDeclaredField("cumulativeFrequencyTable");
        table.setAccessible(true);
        int[] sums = Arrays.copyOf((int[]) table.get(stats), queues.length);
        System.out.println("load " + given + " " + join(sums, ","));
        Cluster cluster = cluster(partitions, count);
        for (int random : new int[] {0, 1, 2, 3, 4, 5, 7, 11, 100, 12345, Integer.MAX_VALUE}) {
            partitioner.random = random;
            int chosen = partitioner.peekCurrentPartitionInfo(cluster).partition();
            System.out.println("draw " + random + " " + given + " " + chosen);
            partitioner.updatePartitionInfo(partitioner.peekCurrentPartitionInfo(cluster), 1, cluster);
            // The next choice was drawn with the same number: begin anew.
            Fixed fresh = new Fixed();
            fresh.updatePartitionLoadStats(
                Arrays.copyOf(queues, count), Arrays.copyOf(partitions, count), queues.length);
            partitioner = fresh;
        }
    }

    static void turns(int[] available, int count) {
        RoundRobinPartitioner partitioner = new RoundRobinPartitioner();
        Cluster cluster = cluster(available, count);
        List<Integer> chosen = new ArrayList<>();
        for (int turn = 0; turn < 9; turn++) {
            chosen.add(partitioner.partition(TOPIC, null, null, null, null, cluster));
        }
        String given = available.length == 0 ? "-" : join(available, ",");
        System.out.println("turns " + given + " of " + count + " "
            + chosen.stream().map(String::valueOf).collect(Collectors.joining(" ")));
    }

    static Cluster cluster(int[] available, int count) {
        Node node = new Node(1, "localhost", 9092);
        Node[] replicas = {node};
        List<PartitionInfo> partitions = new ArrayList<>();
        for (int number = 0; number < count; number++) {
            int partition = number;
            boolean led = Arrays.stream(available).anyMatch(other -> other == partition);
            partitions.add(new PartitionInfo(TOPIC, number, led ? node : null, replicas, replicas));
        }
        return new Cluster("golden", List.of(node), partitions, Collections.emptySet(), Collections.emptySet());
    }

    static String join(int[] numbers) {
        return join(numbers, " ");
    }

    static String join(int[] numbers, String between) {
        return Arrays.stream(numbers).mapToObj(String::valueOf).collect(Collectors.joining(between));
    }
}
