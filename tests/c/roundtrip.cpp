// samsa.hpp: publish, send, consume, an exception with its context, and what a wake-up withdrew.
#include <samsa.hpp>
#include <samsa_testing.h>

#include <cstdio>
#include <cstdlib>
#include <string>

static void check(bool condition, const char *what) {
  if (!condition) {
    std::fprintf(stderr, "not true: %s\n", what);
    std::exit(1);
  }
}

// Whether the call throws woken, as an error that says so.
template <class Call>
static bool is_woken(Call &&call) {
  try {
    call();
    return false;
  } catch (const samsa::woken &woken) {
    const samsa::error copy = woken;
    return copy.code() == SAMSA_WOKEN && std::string(copy.name()) == "SAMSA_WOKEN" &&
           std::string(copy.what()) == samsa_code_text(SAMSA_WOKEN) && copy.get() == nullptr &&
           copy.status() == SAMSA_NOT_PERSISTED && !copy.is_retriable();
  }
}

static void inject(samsa_embedded *embedded, const char *api, const char *topic, std::int32_t kind) {
  samsa_fault fault{};
  fault.struct_size = sizeof fault;
  fault.api = api;
  fault.topic = topic;
  fault.kind = kind;
  fault.code = SAMSA_ERR_INVALID_TOPIC_EXCEPTION;
  fault.times = kind == SAMSA_FAULT_SILENCE ? UINT32_MAX : 1;
  samsa::done([&](samsa_error **err) {
    return samsa_embedded_inject(embedded, &fault, nullptr, err);
  });
}

// A topic that no broker answers about: each call must wait, so that the wake-up always ends it.
static void what_a_wakeup_withdrew_is_thrown(samsa_embedded *embedded, samsa::cluster &cluster) {
  inject(embedded, "Metadata", "unanswered", SAMSA_FAULT_SILENCE);
  samsa::topic topic = cluster.topic("unanswered");
  cluster.wakeup();
  check(is_woken([&] { topic.publish("k", "v", -1); }), "a publish that was woken throws");
  cluster.wakeup();
  check(is_woken([&] { topic.subscribe(-1); }), "a subscription that was woken throws");
  samsa::producer producer = cluster.producer();
  samsa_record record{};
  record.topic = topic.get();
  check(!producer.send(record, 0), "a send that may not wait gives false");
  producer.wakeup();
  check(is_woken([&] { return producer.send(record); }), "a send that was woken throws");
}

// One record fails, the next gets no answer: the flush that is woken has counted the first.
static void a_flush_that_is_woken_keeps_its_count(samsa_embedded *embedded,
                                                  samsa::cluster &cluster) {
  samsa::topic topic = cluster.topic("flushed");
  check(topic.publish("k", "v", 10000) == 0, "the topic is there");
  samsa::producer producer = cluster.producer();
  samsa_record record{};
  record.topic = topic.get();
  inject(embedded, "Produce", "flushed", SAMSA_FAULT_ERROR_CODE);
  check(producer.send(record), "the record is taken");
  check(producer.poll(10000)->begin()->code != 0, "it fails");
  inject(embedded, "Produce", "flushed", SAMSA_FAULT_SILENCE);
  check(producer.send(record), "another is taken");
  producer.wakeup();
  check(is_woken([&] { producer.flush(-1); }), "a flush that was woken throws");
  samsa::done([&](samsa_error **err) {
    return samsa_producer_purge(producer.get(), SAMSA_PURGE_QUEUED | SAMSA_PURGE_IN_FLIGHT, nullptr,
                                err);
  });
  check(producer.flush(-1) == 2, "the next flush tells both failures");
  check(producer.flush(-1) == 0, "and tells them once");
}

int main() try {
  samsa_embedded *embedded = nullptr;
  samsa::done([&](samsa_error **err) { return samsa_embedded_start(1, &embedded, err); });
  {
    samsa::config config{{"bootstrap.servers", samsa_embedded_address(embedded)},
                         {"client.id", "roundtrip"}};
    check(config.value("client.id") == "roundtrip", "a property can be read back");
    try {
      config.set("bootstrap.server", "x");
      check(false, "an unknown property throws");
    } catch (const samsa::error &error) {
      const samsa::error copy = error;
      check(copy.code() == SAMSA_ERR_UNKNOWN_PROPERTY, "the code is kept in a copy");
      check(std::string(copy.what()).find("bootstrap.servers") != std::string::npos,
            "the message names the nearest property");
    }
    samsa::cluster cluster(config, 10000);
    samsa::topic topic = cluster.topic("cpp");
    check(topic.name() == "cpp", "the topic has its name");
    check(topic.publish("k", "first", 10000) == 0, "the first offset is 0");
    samsa::consumer consumer = topic.subscribe(10000);
    samsa::producer producer = cluster.producer();
    samsa_record record{};
    record.topic = topic.get();
    record.value = "second";
    record.value_length = 6;
    check(producer.send(record), "the record is taken");
    check(producer.flush(10000) == 0, "nothing failed");
    auto outcomes = producer.poll(0);
    check(outcomes && outcomes->size() == 1 && outcomes->begin()->offset == 1, "its outcome is there");
    check(topic.publish({}, {}, 10000) == 2, "absent key and value are published");

    auto second = consumer.next(10000);
    check(second && second->value() == "second" && second->topic() == "cpp", "the second is read");
    check(second->key().data() == nullptr, "no key is no key");
    auto third = consumer.poll(10000);
    check(third && third->size() == 1, "the third is read");
    for (const samsa_message_view &message : *third) {
      check(samsa::batch::value(message).data() == nullptr, "no value is no value");
      check(third->run(message).partition == 0, "the run tells the partition");
    }
    auto nothing = consumer.next(0);
    check(!nothing && nothing.code == SAMSA_NOTHING, "nothing is no error");
    consumer.wakeup();
    check(consumer.next(-1).code == SAMSA_WOKEN, "a wake-up is remembered");
    a_flush_that_is_woken_keeps_its_count(embedded, cluster);
    what_a_wakeup_withdrew_is_thrown(embedded, cluster);
    cluster.close(10000);
  }
  samsa_embedded_free(embedded);
  std::puts("roundtrip.cpp: ok");
} catch (const samsa::error &error) {
  std::fprintf(stderr, "%s: %s\n", error.name(), error.what());
  return 1;
}
