#!/usr/bin/env python3
"""Writes the abuse test: every exported function, called wrongly in every way its prototype allows.

    abuse.py INCLUDE SYMBOLS > abuse_cases.h

SYMBOLS is a file with the exported symbols (nm). Every symbol must be declared in a header and have a
row in ROWS below, and every row must be a symbol: a function without a row is a failure.

What is tried: NULL for each pointer, a handle of another type for each handle, invalid UTF-8 for each
string, times and sizes out of range, and every call on a closed handle. What is expected follows from
the rules of the header; a row names only where its function differs.
"""
import re
import sys


class Row:
    """How one function differs from the rules.

    optional: pointers that may be NULL (the call then goes on: any code, but no crash)
    args:     C expressions for the good arguments, where the type alone does not tell
    closed:   what a call on a closed handle gives; None: not tried
    absent:   what an accessor gives for NULL
    bad:      numbers out of range, by argument
    lent:     its handle exists only inside a callback: nothing but wrong handles is tried
    skip_null_handle: the function takes no handle that must be there
    """

    def __init__(self, optional="", args=None, closed="SAMSA_ERR_CLOSED", absent=None, bad=None,
                 lent=False):
        self.lent = lent
        self.optional = set(optional.split()) | {"err"}
        self.args = args or {}
        self.closed = closed
        self.absent = absent
        self.bad = bad or {}


PLAIN = Row(closed=None)
READ = Row(closed="SAMSA_OK")
LIST = Row(optional="views list messages runs deliveries", closed=None, absent="0")
POSITION_ARGS = {"positions": "&position", "partition": "&position", "times": "&time_position",
                 "n": "1", "stride": "sizeof position"}
NO_ARRAY = {"n": ["SIZE_MAX"], "stride": ["0", "1", "SIZE_MAX"]}
GROUP_ARGS = {"group": '"abuse"', "topic": '"abuse"', "partition": "0", "broker": "0"}
BAD_PARTITION = {"partition": ["-5", "INT64_MIN", "INT64_MAX"]}

ROWS = {
    # library, codes
    "samsa_version": PLAIN, "samsa_version_number": PLAIN,
    "samsa_code_name": PLAIN, "samsa_code_text": PLAIN, "samsa_code_is_error": PLAIN,
    "samsa_partition_of": PLAIN, "samsa_partition_broker": PLAIN, "samsa_partition_number": PLAIN,
    "samsa_string_free": PLAIN,
    # errors
    "samsa_error_code": Row(absent="0"),
    "samsa_error_message": Row(absent="*"),
    "samsa_error_is_retriable": PLAIN, "samsa_error_is_fatal": PLAIN,
    "samsa_error_requires_abort": PLAIN, "samsa_error_status": PLAIN,
    "samsa_error_topic": PLAIN, "samsa_error_partition": PLAIN, "samsa_error_broker": PLAIN,
    "samsa_error_property": PLAIN, "samsa_error_free": PLAIN,
    # configuration
    "samsa_config_new": PLAIN,
    "samsa_config_set": Row(args={"name": '"client.id"', "value": '"abuse"'}),
    "samsa_config_get": Row(args={"name": '"client.id"'}),
    "samsa_config_load": Row(args={"path": '"/nonexistent"'}),
    "samsa_config_free": PLAIN,
    "samsa_config_set_log_callback": Row(optional="call user release"),
    "samsa_config_set_delivery_callback": Row(optional="call user release"),
    "samsa_config_set_partitioner_callback": Row(optional="call user release"),
    "samsa_config_set_cluster_callback": Row(optional="call user release"),
    "samsa_config_set_rebalance_callback": Row(optional="call user release"),
    "samsa_config_set_commit_callback": Row(optional="call user release"),
    "samsa_config_set_assignor_callback": Row(optional="call user release",
                                              args={"name": '"mine"'}, bad={"flags": ["2", "UINT32_MAX"]}),
    "samsa_assignment_members": PLAIN, "samsa_assignment_topics": PLAIN,
    "samsa_assignment_give": Row(lent=True), "samsa_assignment_tell": Row(lent=True),
    "samsa_log_level": Row(absent="0"), "samsa_log_facility": PLAIN, "samsa_log_message": PLAIN,
    "samsa_log_time": Row(absent="-1"),
    # cluster
    "samsa_cluster_open": Row(args={"config": "live.config"}),
    "samsa_cluster_close": Row(closed="SAMSA_OK"),
    "samsa_cluster_free": PLAIN, "samsa_cluster_wakeup": PLAIN,
    "samsa_cluster_fd": READ,
    "samsa_cluster_next_event": Row(),
    "samsa_cluster_id": PLAIN, "samsa_cluster_is_legacy": PLAIN,
    "samsa_cluster_topic": Row(args={"name": '"abuse"'}),
    "samsa_cluster_brokers": Row(),
    "samsa_cluster_topics": Row(),
    "samsa_cluster_create_topic": Row(args={"topic": "&new_topic"}),
    "samsa_cluster_delete_topic": Row(args={"name": '"absent"'}),
    "samsa_cluster_groups": Row(),
    "samsa_cluster_describe_group": Row(args={"id": '"abuse"'}),
    "samsa_cluster_delete_group": Row(args={"id": '"absent"'}),
    "samsa_cluster_delete_offsets": Row(optional="outcome", args={"id": '"absent"', **POSITION_ARGS},
                                        bad=NO_ARRAY),
    "samsa_groups_list": LIST, "samsa_groups_free": PLAIN,
    "samsa_group_info": PLAIN, "samsa_group_members": LIST, "samsa_group_free": PLAIN,
    "samsa_brokers_list": LIST, "samsa_brokers_free": PLAIN,
    "samsa_topics_list": LIST, "samsa_topics_free": PLAIN,
    "samsa_partitions_list": LIST, "samsa_partitions_free": PLAIN,
    "samsa_event_kind": Row(absent="0"), "samsa_event_topic": PLAIN,
    "samsa_event_partition": PLAIN, "samsa_event_offset": PLAIN, "samsa_event_positions": LIST, "samsa_event_broker": Row(absent="-1"),
    "samsa_event_free": PLAIN,
    # topic
    "samsa_topic_name": PLAIN, "samsa_topic_free": PLAIN,
    "samsa_topic_partitions": Row(),
    "samsa_topic_publish": Row(optional="key value partition offset",
                               args={"key": '"k"', "value": '"v"'}),
    "samsa_topic_publish_list": Row(optional="partition first_offset",
                                    args={"records": "&untold", "n": "1", "stride": "sizeof untold"},
                                    bad=NO_ARRAY),
    "samsa_topic_offsets": Row(args={"when": "SAMSA_LATEST"}, bad={"when": ["-3", "INT64_MIN"]}),
    "samsa_topic_subscribe": Row(optional="group", args={"group": "NULL"}),
    # producer
    "samsa_producer_new": Row(optional="overrides"),
    "samsa_producer_send": Row(args={"record": "&record", "record_size": "sizeof record"},
                               bad={"record_size": ["0", "1"]}),
    "samsa_producer_send_batch": Row(optional="accepted", bad=NO_ARRAY,
                                     args={"records": "&record", "n": "1", "stride": "sizeof record"}),
    "samsa_producer_send_packed": Row(optional="accepted", args={"packed": "&packed"}),
    "samsa_producer_poll": Row(),
    "samsa_producer_flush": Row(optional="failed", closed="SAMSA_OK|SAMSA_ERR_CLOSED"),
    "samsa_producer_purge": Row(optional="purged", bad={"flags": ["4", "UINT32_MAX"]}),
    "samsa_producer_load": Row(optional="batches bytes"),
    "samsa_producer_close": Row(closed="SAMSA_OK"),
    "samsa_producer_wakeup": PLAIN, "samsa_producer_free": PLAIN, "samsa_producer_fd": READ,
    "samsa_deliveries_list": LIST, "samsa_deliveries_runs": LIST,
    "samsa_deliveries_error": PLAIN,
    "samsa_deliveries_record": Row(args={"view": "&view"}, bad={"index": ["SIZE_MAX", "1000000"]}),
    "samsa_deliveries_free": PLAIN,
    # consumer
    "samsa_consumer_new": Row(optional="overrides"),
    "samsa_consumer_assign": Row(args=POSITION_ARGS, bad=NO_ARRAY),
    "samsa_consumer_assignment": Row(),
    "samsa_consumer_poll": Row(), "samsa_consumer_next": Row(),
    "samsa_consumer_next_event": Row(),
    "samsa_consumer_seek": Row(args=POSITION_ARGS, bad=NO_ARRAY),
    "samsa_consumer_pause": Row(args=POSITION_ARGS, bad=NO_ARRAY),
    "samsa_consumer_resume": Row(args=POSITION_ARGS, bad=NO_ARRAY),
    "samsa_consumer_position": Row(args=POSITION_ARGS, bad=NO_ARRAY),
    "samsa_consumer_watermarks": Row(optional="low high", args=POSITION_ARGS),
    "samsa_consumer_lag": Row(args=POSITION_ARGS),
    "samsa_consumer_offsets_for_times": Row(args=POSITION_ARGS, bad=NO_ARRAY),
    "samsa_consumer_wakeup": PLAIN, "samsa_consumer_free": PLAIN, "samsa_consumer_fd": READ,
    "samsa_consumer_close": Row(closed="SAMSA_OK"),
    "samsa_consumer_subscribe": Row(args={"topics": "topic_names", "n": "1"}, bad={"n": ["0", "SIZE_MAX"]}),
    "samsa_consumer_unsubscribe": Row(), "samsa_consumer_subscription": Row(),
    "samsa_consumer_extend": Row(bad={"ms": ["-1", "INT32_MIN"]}),
    "samsa_consumer_enforce_rebalance": Row(), "samsa_consumer_empty": Row(absent="true"),
    "samsa_consumer_set_user_data": Row(args={"user_data": '"x"', "length": "1"}, bad={"length": ["SIZE_MAX"]}),
    "samsa_consumer_membership": Row(),
    "samsa_membership_group": PLAIN, "samsa_membership_member": PLAIN,
    "samsa_membership_instance": PLAIN, "samsa_membership_generation": Row(absent="-1"),
    "samsa_membership_user_data": Row(optional="user_data", closed=None, absent="0"),
    "samsa_membership_free": PLAIN,
    "samsa_consumer_commit": Row(optional="outcome", args=POSITION_ARGS, bad=NO_ARRAY),
    "samsa_consumer_stop_partitions": Row(optional="outcome", args=POSITION_ARGS, bad=NO_ARRAY),
    "samsa_consumer_store": Row(args=POSITION_ARGS, bad=NO_ARRAY),
    "samsa_consumer_committed": Row(args=POSITION_ARGS, bad=NO_ARRAY),
    "samsa_positions_list": LIST, "samsa_positions_free": PLAIN,
    "samsa_message_get": PLAIN, "samsa_message_topic": PLAIN, "samsa_message_partition": PLAIN,
    "samsa_message_copy": PLAIN, "samsa_message_free": PLAIN,
    "samsa_headers_read": Row(optional="headers", absent="0",
                              args={"view": "samsa_message_get(live.message)", "capacity": "0"}),
    "samsa_batch_messages": LIST, "samsa_batch_runs": LIST,
    "samsa_batch_columns": Row(args={"columns": "&columns"}),
    "samsa_batch_positions": PLAIN, "samsa_batch_free": PLAIN,
    # samsa_testing.h
    "samsa_embedded_start": Row(args={"brokers": "1"}, bad={"brokers": ["-1", "0", "101", "INT32_MIN"]}),
    "samsa_embedded_address": PLAIN,
    "samsa_embedded_set": Row(args={"name": '"num.partitions"', "value": '"1"'}),
    "samsa_embedded_create_topic": Row(args={"name": '"made"', "partitions": "1"},
                                       bad={"partitions": ["0", "-2", "INT32_MIN"]}),
    "samsa_embedded_delete_topic": Row(args={"name": '"absent"'}),
    "samsa_embedded_log_end": Row(args={"topic": '"abuse"', "partition": "0"}, bad=BAD_PARTITION),
    "samsa_embedded_leader": Row(args={"topic": '"abuse"', "partition": "0"}, bad=BAD_PARTITION),
    "samsa_embedded_move_leader": Row(args={"topic": '"abuse"', "partition": "0", "broker": "0"},
                                      bad={"broker": ["-5", "7", "INT32_MIN"], **BAD_PARTITION}),
    "samsa_embedded_inject": Row(optional="id", args={"fault": "&fault"}),
    "samsa_embedded_injected": Row(args={"id": "1"}, absent="0"),
    "samsa_embedded_wait_injected": Row(args={"id": "1", "n": "0"}),
    "samsa_embedded_withdraw": Row(args={"id": "0"}),
    "samsa_embedded_wait_requests": Row(args={"api": '"Metadata"', "n": "1"}),
    "samsa_embedded_stop_broker": Row(args={"broker": "0"}, bad={"broker": ["-1", "7"]}),
    "samsa_embedded_start_broker": Row(args={"broker": "0"}, bad={"broker": ["-1", "7"]}),
    "samsa_embedded_close_connections": Row(args={"broker": "0"}, bad={"broker": ["7"]}),
    "samsa_embedded_delete_records": Row(args={"topic": '"abuse"', "partition": "0", "offset": "0"},
                                         bad=BAD_PARTITION),
    "samsa_embedded_truncate": Row(args={"topic": '"abuse"', "partition": "0", "offset": "0"},
                                   bad=BAD_PARTITION),
    "samsa_embedded_group_members": Row(args=GROUP_ARGS),
    "samsa_embedded_members_list": LIST, "samsa_embedded_members_free": PLAIN,
    "samsa_embedded_group_state": Row(args=GROUP_ARGS),
    "samsa_embedded_wait_group": Row(optional="state", args={**GROUP_ARGS, "members": "0"}),
    "samsa_embedded_committed": Row(args=GROUP_ARGS, bad={"partition": ["INT64_MIN", "INT64_MAX"]}),
    "samsa_embedded_coordinator": Row(args=GROUP_ARGS),
    "samsa_embedded_move_coordinator": Row(args=GROUP_ARGS, bad={"broker": ["-1", "7"]}),
    "samsa_embedded_expire_member": Row(optional="member", args=GROUP_ARGS),
    "samsa_embedded_free": PLAIN,
    "samsa_embedded_zookeeper_start": PLAIN, "samsa_embedded_zookeeper_address": PLAIN,
    "samsa_embedded_zookeeper_ensure": Row(optional="data", args={"path": '"/abuse"', "data": '"x"'}),
    "samsa_embedded_zookeeper_sessions": Row(absent="0"),
    "samsa_embedded_zookeeper_expire_all": Row(absent="0"),
    "samsa_embedded_zookeeper_silence": Row(args={"silent": "0"}),
    "samsa_embedded_zookeeper_run": Row(args={"running": "1"}),
    "samsa_embedded_zookeeper_free": PLAIN,
    "samsa_embedded_start_legacy": Row(
        args={"brokers": "1", "partitions": "1",
              "zookeeper": "samsa_embedded_zookeeper_address(live.embedded_zookeeper)"},
        bad={"brokers": ["-1", "0", "101", "INT32_MIN"], "partitions": ["-1", "0", "INT32_MAX"]}),
}

# Errors that say an argument is out of range, each in its function's own words.
REFUSED = ["SAMSA_ERR_INVALID_ARGUMENT", "SAMSA_ERR_INVALID_PARTITIONS",
           "SAMSA_ERR_UNKNOWN_TOPIC_OR_PARTITION", "SAMSA_ERR_NOT_ASSIGNED"]
CLOSABLE = {"samsa_cluster", "samsa_topic", "samsa_producer", "samsa_consumer"}


class Parameter:
    def __init__(self, text, opaque):
        found = re.match(r"(.*?)(\w+)$", text.strip())
        self.type, self.name = found[1].strip(), found[2]
        base = self.type.replace("const", "").replace("*", "").strip()
        stars = self.type.count("*")
        self.base = base
        self.is_err = self.name == "err"
        self.is_handle = stars == 1 and base in opaque
        self.is_out = stars >= 1 and not self.is_err and not self.type.startswith("const") \
            and not self.is_handle and base not in ("char", "void", "samsa_columns", "samsa_header", "samsa_message_view") \
            or stars == 2 and not self.is_err and "*const" not in self.type
        self.is_text = self.type.replace(" ", "") == "constchar*"
        self.is_pointer = stars > 0 or base.endswith("_callback")

    def good(self, row):
        """A C expression for an argument that is right."""
        if self.name in row.args:
            return row.args[self.name]
        if self.is_err:
            return "&err"
        if self.is_out:
            return f"&out_{self.name}"
        if self.is_handle:
            return "NULL" if self.name == "overrides" else f"live.{self.base[len('samsa_'):]}"
        if self.name == "timeout_ms":
            return "100"
        return "NULL" if self.is_pointer else "0"


def parse(text):
    """Prototypes and opaque types of a header."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    text = re.sub(r"#ifdef __cplusplus\n.*?#endif\n", "", text, flags=re.S)
    text = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    opaque = set(re.findall(r"typedef struct (\w+) \1;", text))
    text = re.sub(r"typedef struct \w+ \{.*?\} \w+;", "", text, flags=re.S)
    text = re.sub(r"enum \{.*?\};", "", text, flags=re.S)
    text = re.sub(r"typedef [^;]*;", "", text)
    return re.findall(r"([\w\s\*]+?)\b(samsa_\w+)\(([^)]*)\);", text), opaque


class Writer:
    def __init__(self, returns, name, parameters, row):
        self.returns, self.name, self.row = returns.strip(), name, row
        self.parameters = parameters
        self.has_code = self.returns == "samsa_code" and any(p.is_err for p in parameters)

    def call(self, **changed):
        return f"{self.name}({', '.join(changed.get(p.name, p.good(self.row)) for p in self.parameters)})"

    def case(self, what, wanted, call):
        """One wrong call; `wanted` is a list of codes, empty for any."""
        lines = ["  {"]
        outs = [p for p in self.parameters if p.is_out]
        for p in outs:
            kind = p.type[:-1].strip()
            sentinel = f"({kind})&sentinel" if "*" in kind else f"({kind})77"
            if f"&out_{p.name}" not in call:
                sentinel = "0"
            lines.append(f"    {kind} out_{p.name} = {sentinel};")
        lines += [f"    (void)out_{p.name};" for p in outs]
        if self.has_code:
            codes = ", ".join(wanted)
            count = len(wanted)
            lines.append(f"    static const samsa_code wanted[] = {{ {codes or '0'} }};")
            lines.append(f"    samsa_code code = {call};")
            lines.append(f'    check_abuse("{self.name}", "{what}", code, wanted, {count});')
            for p in outs:
                kind = p.type[:-1].strip()
                cleared = "NULL" if "*" in kind else "77"
                relation = "==" if cleared == "NULL" else "!="
                if f"&out_{p.name}" in call:
                    lines.append(f"    check_out(\"{self.name}\", \"{what}\", code == 0 || "
                                 f"out_{p.name} {relation} {cleared});")
            for p in outs:
                base = p.type.replace("const", "").replace("*", "").strip()
                if p.type.count("*") == 2 and base in OPAQUE:
                    lines.append(f"    {base}_free(out_{p.name});")
                elif p.type.replace(" ", "") == "char**":
                    lines.append(f"    samsa_string_free(out_{p.name});")
        elif wanted:
            comparison = f"{call} == {wanted[0]}"
            lines.append(f'    check_out("{self.name}", "{what}", {comparison});')
        else:
            lines.append(f"    {'(void)' if self.returns != 'void' else ''}{call};")
        lines.append("  }")
        return lines

    def absent(self):
        """What an accessor gives for no handle."""
        if self.row.absent == "*":
            return []
        if self.row.absent is not None:
            return [self.row.absent]
        if "*" in self.returns:
            return ["NULL"]
        return {"bool": ["false"], "int64_t": ["-1"], "uint32_t": ["0"], "size_t": ["0"],
                "uint64_t": ["0"]}.get(self.returns, [])

    def cases(self):
        row, lines = self.row, []
        for p in self.parameters:
            first = p is self.parameters[0]
            if row.lent and not p.is_handle:
                continue
            if p.is_handle and p.name not in row.optional:
                nothing = ["SAMSA_ERR_INVALID_HANDLE"] if self.has_code else self.absent()
                lines += self.case(f"{p.name} NULL", nothing, self.call(**{p.name: "NULL"}))
            elif p.is_err and self.name.endswith("_close"):
                pass  # It would close what the other calls need; "no err" below shows the same.
            elif p.is_pointer:
                wanted = [] if p.name in row.optional else ["SAMSA_ERR_INVALID_ARGUMENT"]
                if not self.has_code:
                    wanted = []
                lines += self.case(f"{p.name} NULL", wanted, self.call(**{p.name: "NULL"}))
            if p.is_handle:
                other = "live.config" if p.base == "samsa_error" else "live.error"
                wrong = f"({p.type})(void *){other}"
                nothing = ["SAMSA_ERR_INVALID_HANDLE"] if self.has_code else self.absent()
                if p.base == "samsa_error":
                    nothing = []
                lines += self.case(f"{p.name} of another type", nothing, self.call(**{p.name: wrong}))
                if first and self.has_code:
                    lines += self.case("no err", nothing,
                                       self.call(**{p.name: wrong, "err": "NULL"}))
            if p.is_text:
                wanted = ["SAMSA_ERR_INVALID_ARGUMENT"] if self.has_code else self.absent()
                lines += self.case(f"{p.name} not UTF-8", wanted, self.call(**{p.name: '"\\xff\\xfe"'}))
            if p.name == "timeout_ms":
                for time in ("-2", "INT32_MIN"):
                    lines += self.case(f"timeout_ms {time}", ["SAMSA_ERR_INVALID_ARGUMENT"],
                                       self.call(timeout_ms=time))
            for value in row.bad.get(p.name, []):
                lines += self.case(f"{p.name} {value}", REFUSED, self.call(**{p.name: value}))
            if first and p.base in CLOSABLE and p.is_handle and self.has_code and row.closed:
                closed = f"closed.{p.base[len('samsa_'):]}"
                lines += self.case("closed", row.closed.split("|"),
                                   self.call(**{p.name: closed, "timeout_ms": "-1"}))
        return [f"static void abuse_{self.name}(void)", "{"] + lines + ["}", ""]


def main(include, symbols):
    global OPAQUE
    prototypes, OPAQUE = [], set()
    for header in ("samsa.h", "samsa_testing.h"):
        with open(f"{include}/{header}", encoding="utf-8") as file:
            found, opaque = parse(file.read())
        prototypes += found
        OPAQUE |= opaque
    with open(symbols, encoding="utf-8") as file:
        exported = set(file.read().split())
    declared = {name for _, name, _ in prototypes}
    problems = [f"exported but in no header: {name}" for name in sorted(exported - declared)]
    problems += [f"in a header but not exported: {name}" for name in sorted(declared - exported)]
    problems += [f"no row in tests/c/abuse.py: {name}" for name in sorted(exported - set(ROWS))]
    problems += [f"a row for what does not exist: {name}" for name in sorted(set(ROWS) - exported)]
    if problems:
        sys.exit("\n".join(problems))
    out = []
    for returns, name, arguments in prototypes:
        texts = [] if arguments.strip() == "void" else arguments.split(",")
        parameters = [Parameter(" ".join(text.split()), OPAQUE) for text in texts]
        out += Writer(returns, name, parameters, ROWS[name]).cases()
    out += ["static void abuse_all(void)", "{"]
    out += [f"  abuse_{name}();" for _, name, _ in prototypes] + ["}"]
    print("\n".join(out))


main(*sys.argv[1:])
