// Kafka's own record classes as the witness of ours.
//
//   java GoldenRecords.java write          prints cases: bytes that Java wrote, and what is in them
//   java GoldenRecords.java verify         reads "name hex" lines, prints what Java finds in each
//
// Both print in the form that tests/record_golden.rs prints too. The imports are those of 4.3.1;
// write-records.sh takes ".internal" away for versions before 4.2.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.zip.CRC32;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.DefaultRecordBatch;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.MutableRecordBatch;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.record.internal.RecordBatch;
import org.apache.kafka.common.record.internal.SimpleRecord;
import org.apache.kafka.common.utils.ByteBufferOutputStream;

public class GoldenRecords {
    static final long BASE = 5_000_000_000L;
    static final long TIME = 1_700_000_000_000L;
    /** Above this many records only a checksum of their lines is printed. */
    static final int PRINTED = 20;

    public static void main(String[] args) throws Exception {
        if (args[0].equals("write")) {
            write();
        } else {
            verify();
        }
    }

    static void verify() throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] parts = line.split(" ");
            System.out.println("case " + parts[0]);
            try {
                System.out.print(describe(ByteBuffer.wrap(HexFormat.of().parseHex(parts[1]))));
            } catch (Exception e) {
                System.out.println("refused " + e);
            }
        }
    }

    // ---- cases ----

    static void write() throws Exception {
        for (byte magic = 0; magic <= 2; magic++) {
            for (CompressionType type : CompressionType.values()) {
                if (type == CompressionType.ZSTD && magic < 2) {
                    continue;
                }
                String name = "v" + magic + "-" + type.name + "-";
                Compression codec = Compression.of(type).build();
                emit(name + "mixed", plain(magic, codec, TimestampType.CREATE_TIME, mixed(magic)));
                emit(name + "many", plain(magic, codec, TimestampType.CREATE_TIME, many(type)));
                emit(name + "gaps", gaps(magic, codec));
                if (magic >= 1) {
                    emit(name + "times", plain(magic, codec, TimestampType.CREATE_TIME, times()));
                    emit(name + "append-time", plain(magic, codec, TimestampType.LOG_APPEND_TIME, mixed(magic)));
                }
                if (magic >= 2) {
                    emit(name + "headers", plain(magic, codec, TimestampType.CREATE_TIME, headers()));
                    emit(name + "transactional", transactional(codec));
                    emit(name + "delete-horizon", deleteHorizon(codec));
                }
            }
        }
        emit("gzip-level-9", plain((byte) 2, Compression.gzip().level(9).build(), TimestampType.CREATE_TIME, mixed(2)));
        emit("lz4-level-17", plain((byte) 2, Compression.lz4().level(17).build(), TimestampType.CREATE_TIME, many(CompressionType.LZ4)));
        emit("zstd-level-22", plain((byte) 2, Compression.zstd().level(22).build(), TimestampType.CREATE_TIME, many(CompressionType.ZSTD)));
        emit("control-commit", marker(ControlRecordType.COMMIT));
        emit("control-abort", marker(ControlRecordType.ABORT));
        emit("empty", empty(false));
        emit("empty-control", empty(true));
        emit("magics-in-a-row", row());
    }

    static ByteBuffer plain(int magic, Compression codec, TimestampType type, SimpleRecord... records) {
        ByteBuffer buffer = ByteBuffer.allocate(1 << 18);
        MemoryRecordsBuilder builder = MemoryRecords.builder(buffer, (byte) magic, codec, type, BASE, TIME + 5);
        for (SimpleRecord record : records) {
            builder.append(record);
        }
        return builder.build().buffer();
    }

    static ByteBuffer gaps(int magic, Compression codec) {
        ByteBuffer buffer = ByteBuffer.allocate(1 << 16);
        MemoryRecordsBuilder builder =
            MemoryRecords.builder(buffer, (byte) magic, codec, TimestampType.CREATE_TIME, BASE);
        for (int delta : new int[] {0, 1, 5, 9}) {
            builder.appendWithOffset(BASE + delta, new SimpleRecord(time(magic), bytes("k" + delta), bytes("v")));
        }
        return builder.build().buffer();
    }

    static ByteBuffer transactional(Compression codec) {
        ByteBuffer buffer = ByteBuffer.allocate(1 << 16);
        MemoryRecordsBuilder builder = MemoryRecords.builder(buffer, RecordBatch.MAGIC_VALUE_V2, codec,
            TimestampType.CREATE_TIME, BASE, RecordBatch.NO_TIMESTAMP, 77L, (short) 3, 9, true, 4);
        builder.append(new SimpleRecord(TIME, bytes("k"), bytes("v")));
        builder.append(new SimpleRecord(TIME + 1, bytes("k"), null));
        return builder.build().buffer();
    }

    static ByteBuffer deleteHorizon(Compression codec) {
        ByteBufferOutputStream out = new ByteBufferOutputStream(1 << 16);
        MemoryRecordsBuilder builder = new MemoryRecordsBuilder(out, RecordBatch.MAGIC_VALUE_V2, codec,
            TimestampType.CREATE_TIME, BASE, RecordBatch.NO_TIMESTAMP, -1L, (short) -1, -1, false, false, 4,
            1 << 16, TIME + 86_400_000L);
        builder.append(new SimpleRecord(TIME, bytes("gone"), null));
        builder.append(new SimpleRecord(TIME + 1, bytes("k"), bytes("v")));
        return builder.build().buffer();
    }

    static ByteBuffer marker(ControlRecordType type) {
        return MemoryRecords.withEndTransactionMarker(BASE, TIME, 4, 77L, (short) 3,
            new EndTransactionMarker(type, 12)).buffer();
    }

    static ByteBuffer empty(boolean control) {
        ByteBuffer buffer = ByteBuffer.allocate(256);
        DefaultRecordBatch.writeEmptyHeader(buffer, RecordBatch.MAGIC_VALUE_V2, 77L, (short) 3, 9, BASE, BASE + 7,
            4, TimestampType.CREATE_TIME, TIME, control, control);
        buffer.flip();
        return buffer;
    }

    static ByteBuffer row() {
        ByteBuffer all = ByteBuffer.allocate(1 << 16);
        for (int magic = 0; magic <= 2; magic++) {
            all.put(plain(magic, Compression.NONE, TimestampType.CREATE_TIME, mixed(magic)));
            all.put(plain(magic, Compression.gzip().build(), TimestampType.CREATE_TIME, mixed(magic)));
        }
        all.flip();
        return all;
    }

    static SimpleRecord[] mixed(int magic) {
        return new SimpleRecord[] {
            new SimpleRecord(time(magic), bytes("key"), bytes("value")),
            new SimpleRecord(time(magic), null, bytes("no key")),
            new SimpleRecord(time(magic), bytes("no value"), null),
            new SimpleRecord(time(magic), bytes(""), bytes("")),
            new SimpleRecord(time(magic), (byte[]) null, null),
            new SimpleRecord(time(magic), new byte[] {0, (byte) 0xff, 0x7f, (byte) 0x80}, bytes("ü€")),
        };
    }

    static SimpleRecord[] times() {
        long[] deltas = {0, -1, 1, -100, 70_000, -3_000_000_000L, 3_000_000_000L, 0};
        List<SimpleRecord> records = new ArrayList<>();
        for (long delta : deltas) {
            records.add(new SimpleRecord(TIME + delta, null, bytes("t" + delta)));
        }
        return records.toArray(new SimpleRecord[0]);
    }

    static SimpleRecord[] headers() {
        return new SimpleRecord[] {
            new SimpleRecord(TIME, bytes("k"), bytes("v"), new Header[] {header("a", "1"), header("a", "2"), header("b", "3")}),
            new SimpleRecord(TIME, bytes("k"), bytes("v"), new Header[] {header("null", null), header("empty", ""), header("", "no name")}),
            new SimpleRecord(TIME, (byte[]) null, null, new Header[] {header("ü€", "x".repeat(300))}),
            new SimpleRecord(TIME, (byte[]) null, null),
        };
    }

    /** Enough for several xerial chunks and LZ4 blocks, where there is a codec. */
    static SimpleRecord[] many(CompressionType type) {
        int count = type == CompressionType.NONE ? 25 : 1500;
        SimpleRecord[] records = new SimpleRecord[count];
        for (int i = 0; i < count; i++) {
            String value = "{\"name\":\"user-" + i % 10 + "\",\"text\":\"a line of text to be compressed\"}";
            records[i] = new SimpleRecord(TIME + i % 3, i % 2 == 0 ? null : bytes("key-" + i % 100), bytes(value));
        }
        return records;
    }

    static long time(int magic) {
        return magic == 0 ? RecordBatch.NO_TIMESTAMP : TIME;
    }

    static Header header(String name, String value) {
        return new RecordHeader(name, value == null ? null : bytes(value));
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    // ---- what is in some bytes ----

    static void emit(String name, ByteBuffer bytes) {
        byte[] copy = new byte[bytes.remaining()];
        bytes.duplicate().get(copy);
        System.out.println("case " + name);
        System.out.println("bytes " + HexFormat.of().formatHex(copy));
        System.out.print(describe(ByteBuffer.wrap(copy)));
    }

    static String describe(ByteBuffer bytes) {
        StringBuilder out = new StringBuilder();
        for (MutableRecordBatch batch : MemoryRecords.readableRecords(bytes).batches()) {
            batch.ensureValid();
            out.append("batch v").append(batch.magic());
            out.append(" codec=").append(batch.compressionType().name);
            out.append(" last=").append(batch.lastOffset()).append(" next=").append(batch.nextOffset());
            out.append(" epoch=").append(batch.partitionLeaderEpoch());
            out.append(" producer=").append(batch.producerId()).append('/').append(batch.producerEpoch());
            out.append('/').append(batch.baseSequence());
            out.append(" time=").append(type(batch.timestampType())).append('/').append(batch.maxTimestamp());
            out.append(" horizon=").append(batch.deleteHorizonMs().isPresent() ? batch.deleteHorizonMs().getAsLong() : "-");
            out.append(" transactional=").append(batch.isTransactional()).append(" control=").append(batch.isControlBatch());
            out.append('\n');
            List<String> lines = new ArrayList<>();
            for (Record record : batch) {
                record.ensureValid();
                lines.add(line(batch, record));
            }
            if (lines.size() <= PRINTED) {
                lines.forEach(out::append);
            } else {
                CRC32 crc = new CRC32();
                lines.forEach(line -> crc.update(bytes(line)));
                out.append(String.format(Locale.ROOT, "records %d crc32=%08x%n", lines.size(), crc.getValue()));
            }
        }
        return out.toString();
    }

    static String line(RecordBatch batch, Record record) {
        StringBuilder out = new StringBuilder("record ").append(record.offset()).append(' ').append(record.timestamp());
        out.append(' ').append(type(batch.timestampType()));
        out.append(' ').append(hex(record.key())).append(' ').append(hex(record.value()));
        for (Header header : record.headers()) {
            byte[] value = header.value();
            out.append(' ').append(hex(ByteBuffer.wrap(bytes(header.key()))));
            out.append('=').append(hex(value == null ? null : ByteBuffer.wrap(value)));
        }
        return out.append('\n').toString();
    }

    static String type(TimestampType type) {
        switch (type) {
            case CREATE_TIME: return "create";
            case LOG_APPEND_TIME: return "append";
            default: return "none";
        }
    }

    static String hex(ByteBuffer bytes) {
        if (bytes == null) {
            return "-";
        }
        byte[] copy = new byte[bytes.remaining()];
        bytes.duplicate().get(copy);
        return "x" + HexFormat.of().formatHex(copy);
    }
}
