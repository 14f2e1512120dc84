/* Sizes and offsets of every struct, as programs were compiled against them (64-bit). */
#include <samsa.h>
#include <samsa_testing.h>

#ifdef __cplusplus
#define ASSERT(condition) static_assert(condition, #condition)
#else
#define ASSERT(condition) _Static_assert(condition, #condition)
#endif
#define AT(type, field, offset) ASSERT(offsetof(type, field) == (offset))

ASSERT(sizeof(void *) == 8);
ASSERT(sizeof(samsa_code) == 4);

ASSERT(sizeof(samsa_record) == 72);
AT(samsa_record, topic, 0);
AT(samsa_record, key, 8);
AT(samsa_record, value, 16);
AT(samsa_record, headers, 24);
AT(samsa_record, opaque, 32);
AT(samsa_record, partition, 40);
AT(samsa_record, timestamp, 48);
AT(samsa_record, key_length, 56);
AT(samsa_record, value_length, 60);
AT(samsa_record, headers_count, 64);
AT(samsa_record, flags, 68);

ASSERT(sizeof(samsa_header) == 24);
AT(samsa_header, name, 0);
AT(samsa_header, value, 8);
AT(samsa_header, name_length, 16);
AT(samsa_header, value_length, 20);

ASSERT(sizeof(samsa_delivery) == 48);
AT(samsa_delivery, opaque, 0);
AT(samsa_delivery, partition, 8);
AT(samsa_delivery, offset, 16);
AT(samsa_delivery, timestamp, 24);
AT(samsa_delivery, code, 32);
AT(samsa_delivery, status, 36);
AT(samsa_delivery, run, 40);
AT(samsa_delivery, reserved, 44);

ASSERT(sizeof(samsa_message_view) == 80);
AT(samsa_message_view, offset, 0);
AT(samsa_message_view, next_offset, 8);
AT(samsa_message_view, timestamp, 16);
AT(samsa_message_view, key, 24);
AT(samsa_message_view, value, 32);
AT(samsa_message_view, headers, 40);
AT(samsa_message_view, key_length, 48);
AT(samsa_message_view, value_length, 52);
AT(samsa_message_view, headers_length, 56);
AT(samsa_message_view, headers_count, 60);
AT(samsa_message_view, run, 64);
AT(samsa_message_view, flags, 68);
AT(samsa_message_view, delivery_count, 70);
AT(samsa_message_view, reserved, 72);

ASSERT(sizeof(samsa_run) == 64);
AT(samsa_run, partition, 8);
AT(samsa_run, first, 40);

ASSERT(sizeof(samsa_position) == 64);
AT(samsa_position, topic, 0);
AT(samsa_position, partition, 8);
AT(samsa_position, offset, 16);
AT(samsa_position, timestamp, 24);
AT(samsa_position, metadata, 32);
AT(samsa_position, metadata_length, 40);
AT(samsa_position, leader_epoch, 44);
AT(samsa_position, code, 48);
AT(samsa_position, flags, 52);
AT(samsa_position, reserved, 56);

ASSERT(sizeof(samsa_broker_view) == 48);
AT(samsa_broker_view, rack, 8);
AT(samsa_broker_view, incarnation, 16);
AT(samsa_broker_view, id, 24);
AT(samsa_broker_view, port, 28);
AT(samsa_broker_view, flags, 32);

ASSERT(sizeof(samsa_topic_view) == 48);
AT(samsa_topic_view, partitions, 8);
AT(samsa_topic_view, id, 16);
AT(samsa_topic_view, code, 32);
AT(samsa_topic_view, flags, 36);

ASSERT(sizeof(samsa_partition_view) == 72);
AT(samsa_partition_view, replicas, 8);
AT(samsa_partition_view, in_sync, 16);
AT(samsa_partition_view, offline, 24);
AT(samsa_partition_view, replicas_count, 32);
AT(samsa_partition_view, leader, 44);
AT(samsa_partition_view, leader_epoch, 48);
AT(samsa_partition_view, code, 52);
AT(samsa_partition_view, flags, 56);

ASSERT(sizeof(samsa_group_view) == 48);
AT(samsa_group_view, protocol_type, 8);
AT(samsa_group_view, state, 16);
AT(samsa_group_view, assignor, 24);
AT(samsa_group_view, kind, 32);
AT(samsa_group_view, coordinator, 36);
AT(samsa_group_view, epoch, 40);

ASSERT(sizeof(samsa_group_member_view) == 72);
AT(samsa_group_member_view, instance, 8);
AT(samsa_group_member_view, client_id, 16);
AT(samsa_group_member_view, host, 24);
AT(samsa_group_member_view, topics, 32);
AT(samsa_group_member_view, assignment, 40);
AT(samsa_group_member_view, topics_count, 48);
AT(samsa_group_member_view, assignment_count, 56);
AT(samsa_group_member_view, epoch, 64);

ASSERT(sizeof(samsa_property) == 16);
AT(samsa_property, value, 8);

/* Structs passed singly: their size is in them, and their first field is where it is. */
AT(samsa_packed, struct_size, 0);
AT(samsa_columns, struct_size, 0);
ASSERT(sizeof(samsa_columns) == 80);
AT(samsa_new_topic, struct_size, 0);
AT(samsa_fault, struct_size, 0);
ASSERT(sizeof(samsa_fault) == 72);
ASSERT(sizeof(samsa_packed) == 112);
ASSERT(sizeof(samsa_new_topic) == 48);
