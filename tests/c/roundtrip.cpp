// samsa.hpp: publish, send, consume, and an exception with its context.
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

int main() try {
  samsa_embedded *embedded = nullptr;
  samsa::checked([&](samsa_error **err) { return samsa_embedded_start(1, &embedded, err); });
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
    cluster.close(10000);
  }
  samsa_embedded_free(embedded);
  std::puts("roundtrip.cpp: ok");
} catch (const samsa::error &error) {
  std::fprintf(stderr, "%s: %s\n", error.name(), error.what());
  return 1;
}
