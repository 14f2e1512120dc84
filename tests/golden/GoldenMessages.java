import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.InputStream;
import java.lang.reflect.Method;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HexFormat;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.ObjectSerializationCache;

/**
 * Writes messages with Kafka's own generated classes: for every API that libsamsa declares, every
 * version, request and response, three messages: `default`, `full` (every field that the version
 * has holds a value that is not its default) and `null` (full, with null where that is allowed).
 *
 * One line each: name, version, which, the bytes in hex ("-" for none), and what Kafka's
 * JsonConverter says of the message. The output is checked in; tests/protocol_golden.rs reads it.
 * Run it by tests/golden/write-golden.sh.
 */
public final class GoldenMessages {
    private static final String[] APIS = {
        "Produce", "Fetch", "ListOffsets", "Metadata", "FindCoordinator", "ApiVersions",
        "CreateTopics", "DeleteTopics", "InitProducerId", "OffsetForLeaderEpoch", "OffsetCommit",
        "OffsetFetch", "JoinGroup", "Heartbeat", "LeaveGroup", "SyncGroup", "DescribeGroups",
        "ListGroups", "DeleteGroups", "OffsetDelete", "ConsumerGroupHeartbeat",
        "ConsumerGroupDescribe",
    };
    private static final JsonMapper JSON =
        JsonMapper.builder().enable(JsonReadFeature.ALLOW_JAVA_COMMENTS).build();

    public static void main(String[] args) throws Exception {
        for (String api : APIS) {
            for (String kind : new String[] {"Request", "Response"}) {
                writeMessage(api + kind);
            }
        }
    }

    private static void writeMessage(String name) throws Exception {
        JsonNode definition;
        try (InputStream in = ApiMessage.class.getResourceAsStream("/common/message/" + name + ".json")) {
            definition = JSON.readTree(in);
        }
        Class<?> type = Class.forName("org.apache.kafka.common.message." + name + "Data");
        Range versions = Range.parse(definition.get("validVersions").asText());
        for (int version = versions.first; version <= versions.last; version++) {
            for (String which : new String[] {"default", "full", "null"}) {
                ApiMessage message = (ApiMessage) type.getConstructor().newInstance();
                if (!which.equals("default")) {
                    boolean nulls = which.equals("null");
                    new Filler(type, (short) version, nulls, definition).fill(message, definition.get("fields"), 2);
                }
                print(name, version, which, type, message);
            }
        }
    }

    private static void print(String name, int version, String which, Class<?> type, ApiMessage message)
            throws Exception {
        ObjectSerializationCache cache = new ObjectSerializationCache();
        ByteBuffer buffer = ByteBuffer.allocate(message.size(cache, (short) version));
        message.write(new ByteBufferAccessor(buffer), cache, (short) version);
        if (buffer.hasRemaining()) {
            throw new IllegalStateException(name + " " + version + ": size and write disagree");
        }
        String hex = HexFormat.of().formatHex(buffer.array());
        Method toJson = Class.forName(type.getName() + "JsonConverter")
            .getMethod("write", type, short.class, boolean.class);
        JsonNode json = (JsonNode) toJson.invoke(null, message, (short) version, false);
        System.out.println(name + " " + version + " " + which + " " + (hex.isEmpty() ? "-" : hex)
            + " " + JSON.writeValueAsString(json));
    }

    /** Fills messages with values that differ from field to field and follow from the definition alone. */
    private record Filler(
        Class<?> message, short version, boolean nulls, JsonNode commons, int[] counter) {
        Filler(Class<?> message, short version, boolean nulls, JsonNode definition) {
            this(message, version, nulls, definition.path("commonStructs"), new int[1]);
        }

        void fill(Object target, JsonNode fields, int elements) throws Exception {
            for (JsonNode field : fields) {
                if (!Range.parse(field.get("versions").asText()).has(version)) {
                    continue;
                }
                JsonNode nullable = field.get("nullableVersions");
                String name = field.get("name").asText();
                Method setter = setter(target, name);
                boolean isNull = nulls && nullable != null && Range.parse(nullable.asText()).has(version);
                setter.invoke(target, isNull ? null : value(field, setter.getParameterTypes()[0], elements));
            }
        }

        private static Method setter(Object target, String name) {
            String wanted = "set" + name;
            for (Method method : target.getClass().getMethods()) {
                if (method.getName().equalsIgnoreCase(wanted) && method.getParameterCount() == 1) {
                    return method;
                }
            }
            throw new IllegalStateException(target.getClass() + " has no " + wanted);
        }

        private Object value(JsonNode field, Class<?> type, int elements) throws Exception {
            String name = field.get("type").asText();
            if (!name.startsWith("[]")) {
                return single(name, field);
            }
            @SuppressWarnings("unchecked")
            Collection<Object> all = type == List.class
                ? new ArrayList<>()
                : (Collection<Object>) type.getConstructor().newInstance();
            for (int i = 0; i < elements; i++) {
                all.add(single(name.substring(2), field));
            }
            return all;
        }

        private Object single(String type, JsonNode field) throws Exception {
            int n = ++counter[0];
            return switch (type) {
                case "bool" -> !field.path("default").asText().equals("true");
                case "int8" -> (byte) n;
                case "int16" -> (short) (1000 + n);
                case "int32" -> 1_000_000 + n;
                case "int64" -> 1_000_000_000_000L + n;
                case "string" -> field.get("name").asText() + "-" + n;
                case "uuid" -> new Uuid(n, ~n);
                case "bytes" -> new byte[] {(byte) n, (byte) ~n, 0};
                case "records" -> records(n);
                default -> struct(type, field);
            };
        }

        private Object struct(String type, JsonNode field) throws Exception {
            Object element = Class.forName(message.getName() + "$" + type).getConstructor().newInstance();
            JsonNode fields = field.get("fields");
            for (JsonNode common : commons) {
                fields = common.get("name").asText().equals(type) ? common.get("fields") : fields;
            }
            fill(element, fields, 1);
            return element;
        }

        /** Not real batches: the protocol does not look into them. */
        private static Object records(int n) throws Exception {
            byte[] bytes = new byte[20 + n];
            for (int i = 0; i < bytes.length; i++) {
                bytes[i] = (byte) (n + i);
            }
            return memoryRecords().getMethod("readableRecords", ByteBuffer.class)
                .invoke(null, ByteBuffer.wrap(bytes));
        }

        /** The class moved between 3.9 and 4.3. */
        private static Class<?> memoryRecords() throws ClassNotFoundException {
            try {
                return Class.forName("org.apache.kafka.common.record.internal.MemoryRecords");
            } catch (ClassNotFoundException e) {
                return Class.forName("org.apache.kafka.common.record.MemoryRecords");
            }
        }
    }

    private record Range(int first, int last) {
        private static final Pattern SYNTAX = Pattern.compile("(\\d+)(\\+|-(\\d+))?");

        static Range parse(String text) {
            Matcher matcher = SYNTAX.matcher(text);
            if (!matcher.matches()) {
                return new Range(0, -1);
            }
            int first = Integer.parseInt(matcher.group(1));
            if (matcher.group(2) == null) {
                return new Range(first, first);
            }
            String last = matcher.group(3);
            return new Range(first, last == null ? Short.MAX_VALUE : Integer.parseInt(last));
        }

        boolean has(int version) {
            return first <= version && version <= last;
        }
    }
}
