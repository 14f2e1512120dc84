"""The headers go into cffi as they are, but for lines that begin with # and the extern C blocks;
then a round trip on the embedded broker, sent as one packed buffer and read as columns.

SAMSA_LIB: the shared library; SAMSA_INCLUDE: the folder of the headers.
"""
import os
import re
import sys

import cffi


def declarations(path):
    """What a binding has to do to a header, all of it."""
    text = open(path, encoding="utf-8").read()
    text = re.sub(r"#ifdef __cplusplus\n.*?#endif\n", "", text, flags=re.S)
    return "\n".join(line for line in text.splitlines() if not line.startswith("#"))


include = os.environ["SAMSA_INCLUDE"]
ffi = cffi.FFI()
for header in ("samsa.h", "samsa_testing.h"):
    ffi.cdef(declarations(os.path.join(include, header)))
lib = ffi.dlopen(os.environ["SAMSA_LIB"])


class Error(Exception):
    pass


def call(function, *arguments):
    """Raises the error object; returns the code, which may be a condition."""
    err = ffi.new("samsa_error **")
    code = function(*arguments, err)
    if err[0]:
        message = ffi.string(lib.samsa_error_message(err[0])).decode()
        lib.samsa_error_free(err[0])
        raise Error(code, message)
    return code


def make(handle, function, *arguments):
    out = ffi.new(f"samsa_{handle} **")
    code = call(function, *arguments, out)
    assert code == lib.SAMSA_OK, ffi.string(lib.samsa_code_name(code))
    return out[0]


# The list of constants says what the header says.
for line in open(os.path.join(include, "samsa_constants.txt")):
    name, number = line.split()
    assert getattr(lib, name) == int(number), name

embedded = make("embedded", lib.samsa_embedded_start, 1)
call(lib.samsa_embedded_create_topic, embedded, b"python", 1)
config = lib.samsa_config_new()
call(lib.samsa_config_set, config, b"bootstrap.servers", lib.samsa_embedded_address(embedded))
cluster = make("cluster", lib.samsa_cluster_open, config, 10000)
topic = make("topic", lib.samsa_cluster_topic, cluster, b"python")
producer = make("producer", lib.samsa_producer_new, cluster, ffi.NULL)
consumer = make("consumer", lib.samsa_topic_subscribe, topic, ffi.NULL, 10000)

sent = [f"message {i}".encode() for i in range(1000)]
buffer = ffi.from_buffer(b"".join(sent))
lengths = ffi.new("uint32_t[]", [len(value) for value in sent])
packed = ffi.new("samsa_packed *")
packed.struct_size = ffi.sizeof("samsa_packed")
packed.topic = topic
packed.buffer = buffer
packed.buffer_length = len(buffer)
packed.count = len(sent)
packed.value_lengths = lengths
accepted = ffi.new("size_t *")
call(lib.samsa_producer_send_packed, producer, packed, 10000, accepted)
assert accepted[0] == len(sent), accepted[0]
failed = ffi.new("uint64_t *")
call(lib.samsa_producer_flush, producer, 10000, failed)
assert failed[0] == 0

received = []
while len(received) < len(sent):
    batch = make("batch", lib.samsa_consumer_poll, consumer, 10000)
    columns = ffi.new("samsa_columns *")
    columns.struct_size = ffi.sizeof("samsa_columns")
    call(lib.samsa_batch_columns, batch, columns)
    data = ffi.buffer(columns.buffer, columns.buffer_length)[:]
    for i in range(columns.count):
        start = columns.value_positions[i]
        received.append(data[start:start + columns.value_lengths[i]])
        assert columns.key_lengths[i] == 0xFFFFFFFF, "no key is not an empty key"
    lib.samsa_batch_free(batch)
assert received == sent

call(lib.samsa_cluster_close, cluster, 10000)
lib.samsa_consumer_free(consumer)
lib.samsa_producer_free(producer)
lib.samsa_topic_free(topic)
lib.samsa_cluster_free(cluster)
lib.samsa_config_free(config)
lib.samsa_embedded_free(embedded)
print(f"python: {len(received)} messages: ok")
